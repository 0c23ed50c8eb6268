-- SPDX-License-Identifier: MIT
-- Sudden ends: Ctrl-C, SIGTERM, a fatal signal. What was traced before is there; each has its status.

local run = require("spec.support.run")

local endless = '(module (func $tick) (func (export "_start") (loop $l (call $tick) (br $l))))'

-- Says when the guest is running, so that nobody has to guess.
local script = [[
local ticks = 0
lunette.on("tick", { before = function()
  ticks = ticks + 1
  if ticks == 1 then lunette.out:write("running\n") end
end })
lunette.on("_start", { abort = function(_, err) print("abort " .. err.kind) end })
lunette.at_exit(function() print("at_exit", ticks > 0) end)
]]

-- Sends the signals one after the other, each once a line has come.
local function interrupted(steps, spec)
  local at = 1
  spec.on_stderr = function(text, kill)
    while steps[at] and text:find(steps[at][1], 1, true) do
      kill(steps[at][2])
      at = at + 1
    end
  end
  return run(spec)
end

describe("a running guest", function()
  for name, status in pairs({ sigint = 130, sigterm = 143 }) do
    it(("ends with %d at %s: aborted, told, written"):format(status, name), function()
      local result = interrupted({ { "running\n", name } }, {
        guest = endless, files = { ["x.lua"] = script }, "run", "-s", "x.lua", "app.wasm",
      })
      assert.equal(0, result.signal)
      assert.equal(status, result.status)
      local expected = "^running\nabort interrupted\nat_exit\ttrue\nlunette: interrupted[^\n]*\n"
      assert.is_truthy(result.stderr:match(expected), result.stderr)
    end)
  end

  it("ends at once at the second Ctrl-C; what was traced is written", function()
    local result = interrupted({ { "running\n", "sigint" }, { "stuck\n", "sigint" } }, {
      guest = endless,
      files = { ["x.lua"] = script .. [[
        lunette.at_exit(function() lunette.out:write("stuck\n") while true do end end)
      ]] },
      "run", "-s", "x.lua", "app.wasm",
    })
    assert.equal(0, result.signal)
    assert.equal(130, result.status)
    assert.equal("running\nabort interrupted\nstuck\n", result.stderr)
  end)

  local stuck = [[
    lunette.on("tick", function() print("stuck") while true do pcall(string.rep, "x", 10) end end)
  ]]

  it("ends at one SIGTERM, where a callback never returns; what was traced is written", function()
    local result = interrupted({ { "stuck\n", "sigterm" } }, {
      guest = endless, files = { ["x.lua"] = stuck }, "run", "-s", "x.lua", "app.wasm",
    })
    assert.same({ 0, 143 }, { result.signal, result.status })
    assert.equal("stuck\nlunette: interrupted, and a script or a host function did not return\n", result.stderr)
  end)

  it("ends with its time, where a script or its at_exit never returns", function()
    for text, code in pairs({
      ["a script or a host function"] = "print('stuck') while true do end",
      ["at_exit"] = "lunette.at_exit(function() print('stuck') while true do end end)",
    }) do
      local result = run { guest = endless, "run", "--timeout", "50ms", "-e", code, "app.wasm" }
      assert.same({ 0, 124 }, { result.signal, result.status })
      assert.equal(("stuck\nlunette: the run took too long, and %s did not return\n"):format(text), result.stderr)
    end
  end)

  it("dies by the signal as any program does where there is no script", function()
    local result = interrupted({ { "x", "sigint" } }, {
      guest = [[(module
        (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 1)
        (data (i32.const 0) "\08\00\00\00\01\00\00\00x")
        (func (export "_start") (drop (call $fd_write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 100)))
          (loop $l (br $l))))]],
      "run", "app.wasm",
    })
    assert.equal(2, result.signal)
  end)

  it("leaves all that was traced when a fatal signal strikes", function()
    local result = interrupted({ { "running\n", "sigsegv" } }, {
      guest = endless,
      files = { ["x.lua"] = [[
        local ticks = 0
        lunette.on("tick", function()
          ticks = ticks + 1
          if ticks > 10 then while true do end end
          lunette.out:write(ticks == 10 and "running\n" or "tick\n")
        end)
      ]] },
      "run", "-s", "x.lua", "app.wasm",
    })
    assert.equal(11, result.signal)
    assert.equal(("tick\n"):rep(9) .. "running\n", result.stderr)
  end)
end)
