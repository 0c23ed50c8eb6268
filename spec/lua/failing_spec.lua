-- SPDX-License-Identifier: MIT
-- Runs with callbacks while Lua's memory fails, at each request in turn.

local command = require("spec.support.command")
local guest = require("spec.support.guest")

local failing = assert(package.loadlib(command.build .. "/spec/failing.so", "luaopen_failing"))()

local text = [[(module
  (import "env" "again" (func $again (param i32)))
  (func $wide (param v128) (result v128) (local.get 0))
  (func $leaf (export "leaf") (param i32) (result i32) (local.get 0))
  (func $deep (export "deep") (param $n i32) (result i32)
    (drop (call $wide (v128.const i64x2 1 2)))
    (call $again (local.get $n))
    (if (result i32) (local.get $n)
      (then (i32.add (call $deep (i32.sub (local.get $n) (i32.const 1))) (i32.const 1)))
      (else (i32.const 0)))))]]

after_each(guest.close_all)

local function garbage() return { {}, {}, {} } end

-- Its callbacks need memory, raise, and call the guest.
local function open(time)
  local app
  local function again(_, n) if n > 0 then app.instance:invoke("leaf", n) end end
  app = guest.open(text, {
    session = { message = function() end },
    imports = function(lunette) return { lunette.host("env", { again = { params = { "i32" }, again } }) } end,
  })
  app.lunette.on("*", {
    before = function(call, n)
      call.data = garbage()
      if n == 1 then error("now") end
    end,
    after = function(call, result)
      assert(call.data)
      if result == 0 then
        app.instance:invoke("leaf", 7)
        error({})
      end
    end,
    abort = garbage,
  }, { time = time, on_error = garbage })
  return app
end

describe("where Lua's memory fails", function()
  for _, time in ipairs({ false, true }) do
    for _, many in ipairs({ 1, 2, 1000 }) do
      it(("%d times, calls end as they began, with time=%s (R1, R9)"):format(many, tostring(time)), function()
        local at, refused = 0
        repeat
          local app = open(time)
          failing.begin(at, many)
          local well, result = pcall(app.instance.invoke, app.instance, "deep", 3)
          refused = failing.finish()
          assert.equal(well and 3 or "not enough memory", well and result or tostring(result):match("not enough memory"))
          assert.equal(3, app.instance:invoke("deep", 3))
          app.lunette.close()
          at = at + 1
        until refused == 0
        assert.is_true(at > 20)
      end)
    end
  end
end)
