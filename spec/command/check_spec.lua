-- SPDX-License-Identifier: MIT
-- lunette check: what scripts would listen to, with nothing run.

local command = require("spec.support.command")
local files = require("spec.support.files")
local run = require("spec.support.run")

local guest = [[(module
  (import "env" "log" (func $log (param i32)))
  (func $parse_sum (result i32) (i32.const 1))
  (func $parse_word (param $at i32) (result i32) (i32.const 1))
  (func (export "_start") (unreachable)))]]

describe("lunette check", function()
  it("shows the functions of each attachment, and runs nothing", function()
    local result = run { guest = guest, "check", "-s", "two.lua", "-w", "_start", "-s", "count", "app.wasm",
      files = { ["two.lua"] = [[
      lunette.on({ "parse_*", "!*_word" }, print)
      lunette.factory(function(definition) if #definition.params == 1 then return print end end)
      lunette.factory(lunette.multi(function(definition) return definition.name == "log" and print end), { where = "l*" })
      lunette.on(function(definition) return definition.is_host end, print)]] } }
    assert.equal([[
two.lua: "!*_word" "parse_*": 1 function
  #1  parse_sum  () -> i32
two.lua: a factory: 2 functions
  #0  log         (i32)
  #2  parse_word  (at: i32) -> i32
two.lua: "l*": 1 function
  #0  log  (i32)
two.lua: a function: 0 functions
count: "_start": 1 function
  #3  _start  ()
]], result.stdout)
    assert.equal("", result.stderr)
    assert.equal(0, result.status)
  end)

  it("cuts a long list", function()
    local many = {}
    for i = 1, 25 do many[i] = ("(func $f%d)"):format(i) end
    local result = run { guest = "(module" .. table.concat(many) .. ")", "check", "-e", "lunette.on('*', print)", "app.wasm" }
    assert.equal('-e: "*": 25 functions\n  #0   f1   ()\n', result.stdout:sub(1, 37))
    assert.equal("  #19  f20  ()\n  and 5 more\n", result.stdout:sub(-28))
  end)

  it("loads scripts without a module", function()
    local result = run { "check", "-e", "lunette.on('f', print)" }
    assert.same({ "1 script loaded\n", "", 0 }, { result.stdout, result.stderr, result.status })
  end)

  it("says what a run would say of a where that matches nothing, and with --strict ends so", function()
    local code = "lunette.on('parse_sun', print)"
    local said = 'lunette: -e: where "parse_sun" matches no function\nhint: did you mean parse_sum?\n'
    local result = run { guest = guest, "check", "-e", code, "app.wasm" }
    assert.same({ '-e: "parse_sun": 0 functions\n', said, 0 }, { result.stdout, result.stderr, result.status })
    assert.equal(102, run { guest = guest, "check", "--strict", "-e", code, "app.wasm" }.status)
  end)

  it("says so of callers that match nothing, too", function()
    for _, key in ipairs({ "caller", "under" }) do
      local code = ("lunette.on({ name = 'parse_*', %s = '_strat' }, print)"):format(key)
      local said = ('lunette: -e: where %s="_strat" matches no function\nhint: did you mean _start?\n'):format(key)
      local result = run { guest = guest, "check", "-e", code, "app.wasm" }
      assert.same({ said, 0 }, { result.stderr, result.status })
      assert.equal(102, run { guest = guest, "run", "--strict", "-e", code, "app.wasm" }.status)
      code = ("lunette.on({ name = 'parse_*', %s = '_start' }, print)"):format(key)
      assert.equal("", run { guest = guest, "check", "--strict", "-e", code, "app.wasm" }.stderr)
    end
  end)

  it("knows source files by debug information", function()
    local calculator = command.build .. "/examples/calculator.wasm"
    if not files.exists(calculator) then
      return pending("clang for wasm32-wasi was not here when the examples were built")
    end
    local function chosen(where)
      local code = ("lunette.on(%s, print)"):format(where)
      local result = command.run(command.lunette, { "check", "-e", code, calculator })
      local names = {}
      for name in result.stdout:gmatch("\n  #%d+%s+(%S+)") do names[#names + 1] = name end
      table.sort(names)
      return table.concat(names, " "), result.stderr
    end
    local own = "fail main parse_factor parse_number parse_product parse_sum"
    assert.equal(own, (chosen("{ file = '*/calculator.c' }")))
    assert.equal(own, (chosen("'file:*/calculator.c'")))
    assert.equal("parse_factor parse_sum", (chosen("{ file = '*/calculator.c', name = 'parse_[fs]*' }")))
    assert.equal(own, (chosen("{ file = { '*/calculator.c', '*/no.c' } }")))
    local _, said = chosen("{ file = '*/calculatro.c' }")
    assert.is_truthy(said:find("hint: did you mean file:./examples/calculator.c?", 1, true), said)
  end)

  it("tells a script's errors", function()
    local result = run { guest = guest, "check", "-e", "lunette.no('f')", "app.wasm" }
    assert.equal(101, result.status)
    assert.is_truthy(result.stderr:find("lunette.no: no such field; did you mean 'on'?", 1, true))
  end)

  it("needs a script", function()
    local result = run { guest = guest, "check", "app.wasm" }
    assert.equal(64, result.status)
    assert.equal("lunette: check needs a script\nhint: lunette check -s SCRIPT APP.wasm\n", result.stderr)
  end)
end)
