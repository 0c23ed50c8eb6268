-- SPDX-License-Identifier: MIT
-- Callbacks that are left by a jump to the guard around their run (core/engine/run_heard.c, lua/binding/guard.c).

local c = require("spec.support.c")
local files = require("spec.support.files")
local guest = require("spec.support.guest")
local wat = require("spec.support.wat")

after_each(guest.close_all)

describe("a callback that is left by a jump", function()
  it("in C: the run goes on behind it, whichever way it is called (R9)", function()
    local folder <close> = files.temporary()
    files.write(folder .. "/rules.wasm", wat(files.read("spec/c/rules.wat")))
    assert.matches("^%d+ checks, 0 failed\n$", c("guards", folder .. "/rules.wasm"))
  end)
end)

local text = [[(module
  (import "env" "again" (func $again (param i32)))
  (func $leaf (export "leaf") (param $n i32) (result i32) (local.get $n))
  (func $wide (export "wide") (param v128) (result i32) (i32.const 4))
  (func (export "calls_wide") (result i32) (call $wide (v128.const i64x2 1 2)))
  (func $deep (export "deep") (param $n i32) (result i32)
    (if (result i32) (local.get $n)
      (then (i32.add (call $deep (i32.sub (local.get $n) (i32.const 1))) (i32.const 1)))
      (else (i32.const 0))))
  (func (export "enter") (param $n i32) (call $again (local.get $n))))]]

local function open()
  local app
  app = guest.open(text, {
    imports = function(lunette)
      return { lunette.host("env", { again = { params = { "i32" }, function(_, n) app.instance:invoke("deep", n) end } }) }
    end,
  })
  return app
end

describe("R9 an error in Lua", function()
  it("is told with its own traceback, without frames of lunette's", function()
    local app = open()
    app.lunette.on("leaf", { before = function() error("here") end })
    assert.equal(7, app.instance:invoke("leaf", 7))
    assert.equal(1, #app.messages)
    assert.matches("guard_spec.lua:%d+: here\nstack traceback:\n\t%[C%]: in function 'error'\n\t[^\n]+guard_spec.lua[^\n]+$",
      app.messages[1])
  end)

  it("is told so, too, where it is on_error's or a host function's", function()
    local app = guest.open([[(module (import "env" "fails" (func $fails)) (func (export "run") (call $fails)))]], {
      imports = function(lunette) return { lunette.host("env", { fails = { function() error("host") end } }) } end,
    })
    app.lunette.on("run", { before = function() error("first") end }, { on_error = function() error("second") end })
    local err = guest.failure(app.instance.invoke, app.instance, "run")
    assert.matches("second\nstack traceback:\n\t%[C%]: in function 'error'\n\t[^\n]+guard_spec.lua[^\n]+\n\t%[C%]: in %?$",
      app.messages[1])
    assert.matches("^stack traceback:\n\t%[C%]: in function 'error'\n\t[^\n]+guard_spec.lua[^\n]+$", err.detail)
  end)

  it("in one of many calls loses none of the others", function()
    local app = open()
    local befores, afters, errors = 0, 0, 0
    local function on_error() errors = errors + 1 end
    app.lunette.on("deep", {
      before = function(_, n)
        if n % 7 == 3 then error("b") end
        befores = befores + 1
      end,
      after = function(_, result)
        if result % 5 == 1 then error("a") end
        afters = afters + 1
      end,
    }, { on_error = function(...) on_error(...) end })
    app.instance:invoke("deep", 2)
    assert.same({ 3, 2, 1 }, { befores, afters, errors })
  end)

  it("in one listener leaves another's objects alone, also in runs inside of one another", function()
    local app = open()
    local seen = {}
    app.lunette.on("deep", { before = function(call, n)
      call.data = n
      if n == 2 then error({ "no text" }) end
    end, after = function(call, result) seen[#seen + 1] = call.data .. "=" .. result end }, { on_error = function() end })
    app.instance:invoke("enter", 4)
    assert.same({ "3=3", "4=4" }, seen)
  end)

  it("is told once where a param takes memory, too", function()
    local app = open()
    app.lunette.on("wide", { before = function(_, bytes) error("of " .. #bytes) end, after = function() error("never") end })
    assert.equal(4, app.instance:invoke("calls_wide"))
    assert.equal(4, app.instance:invoke("calls_wide"))
    assert.equal(1, #app.messages)
    assert.matches("of 16\n", app.messages[1])
  end)

  it("of a hook that a callback has set is never told of where no callback is at work", function()
    for _, mask in ipairs({ "r", "c", "cr", "crl" }) do
      local app = open()
      local befores, afters = 0, 0
      local function refuse_unknown()
        local called = debug.getinfo(2, "Sf")
        if called.what == "C" and called.func ~= debug.sethook then error("hooked") end
      end
      local attachment = app.lunette.on("leaf", {
        before = function()
          befores = befores + 1
          debug.sethook(refuse_unknown, mask)
        end,
        after = function() afters = afters + 1 end,
      })
      for i = 1, 3 do assert.equal(i, app.instance:invoke("leaf", i)) end
      assert.same({ 3, 3, 0 }, { befores, afters, attachment.errors })
    end
  end)
end)

describe("what is at hand in a run", function()
  it("is never another script's value, whoever comes and goes in it", function()
    local app = open()
    local heard = 0
    local function come_and_go(call, n)
      if n == 0 then return end
      local mine = n
      local attachment
      attachment = app.lunette.on("leaf", { before = function(_, m) heard = heard + (m == mine and 1 or 1000) end })
      app.instance:invoke("leaf", mine)
      attachment:detach()
      assert(call.depth >= 0)
    end
    app.lunette.on("deep", { before = come_and_go, after = function() end })
    assert.equal(200, app.instance:invoke("deep", 200))
    assert.equal(200, heard)
    assert.same({}, app.messages)
  end)
end)
