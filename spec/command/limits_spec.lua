-- SPDX-License-Identifier: MIT
-- lunette run --fuel, --max-memory, --max-depth: statuses and messages.

local run = require("spec.support.run")

local guest = [[(module
  (memory (export "memory") 1)
  (func $deep (export "deep") (param i32) (result i32)
    (if (result i32) (local.get 0)
      (then (i32.add (i32.const 1) (call $deep (i32.sub (local.get 0) (i32.const 1)))))
      (else (i32.const 0))))
  (func (export "spin") (loop (br 0)))
  (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0))))]]

local function limited(...) return run { guest = guest, "run", ... } end

describe("lunette run", function()
  it("--fuel ends a run that is too long with 124, traced and untraced", function()
    local listening = "lunette.on('*', { before = function() end, after = function() end })"
    for _, result in ipairs({
      limited("--fuel", "1000", "--invoke", "spin", "app.wasm"),
      limited("--fuel", "1000", "-e", listening, "--invoke", "spin", "app.wasm"),
    }) do
      assert.equal(124, result.status)
      assert.is_truthy(result.stderr:find("^lunette: fuel: the fuel is used up\n"), result.stderr)
    end
  end)

  it("--max-depth ends a deeper recursion with 134, and no other", function()
    local result = limited("--max-depth", "51", "--invoke", "deep", "app.wasm", "50")
    assert.same({ 0, "50\n" }, { result.status, result.stdout })
    result = limited("--max-depth", "50", "--invoke", "deep", "app.wasm", "50")
    assert.equal(134, result.status)
    assert.is_truthy(result.stderr:find("^lunette: exhausted: more than 50 calls inside one another\n"), result.stderr)
  end)

  it("--max-memory keeps memories from growing", function()
    assert.equal("1\n", limited("--max-memory", "1M", "--invoke", "grow", "app.wasm", "15").stdout)
    assert.equal("-1\n", limited("--max-memory", "1M", "--invoke", "grow", "app.wasm", "16").stdout)
    assert.equal("1\n", limited("--invoke", "grow", "app.wasm", "16").stdout)
  end)

  for option, values in pairs({
    ["--fuel"] = { "0", "-1", "1.5", "many", "", "99999999999999999999" },
    ["--max-depth"] = { "0", "x", "4294967296" },
    ["--max-memory"] = { "0", "1K", "65535", "8X", "8MB", "K", "9999999999G" },
  }) do
    it(option .. " says what it takes", function()
      for _, value in ipairs(values) do
        local result = limited(option, value, "app.wasm")
        assert.equal(64, result.status, value)
        assert.is_truthy(result.stderr:find(('bad value for %s: "%s"'):format(option, value), 1, true), result.stderr)
        assert.is_truthy(result.stderr:find("\nhint: it is a ", 1, true), result.stderr)
      end
    end)
  end
end)
