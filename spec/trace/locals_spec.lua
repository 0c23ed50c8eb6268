-- SPDX-License-Identifier: MIT
-- The locals of frames: what they are is known from the guest's own text.

local guest = require("spec.support.guest")

after_each(guest.close_all)

local text = [[(module
  (func $inner (export "inner") (param $p i32) (local $x i32) (local.set $x (i32.const 7))
    (if (local.get $p) (then unreachable)))
  (func $outer (export "outer") (param $n i32) (param i64) (local $a i32) (local $v v128) (local i64 f64 funcref)
    (local.set $a (i32.mul (local.get $n) (i32.const 3)))
    (local.set 4 (i64.const -5))
    (local.set 5 (f64.const 2.5))
    (local.set $v (v128.const i32x4 1 2 3 4))
    (call $inner (i32.eq (local.get $a) (i32.const 30)))
    (local.set $a (i32.const 99))
    (call $inner (i32.const 0)))
  (func (export "plain") (param i32) (call $inner (i32.const 0))))]]

-- "name:type=value", …; a v128 in hexadecimal.
local function listed(frame)
  local parts = {}
  for i, one in ipairs(frame:locals()) do
    local value = one.type == "v128" and one.value:gsub(".", function(c) return ("%02x"):format(c:byte()) end) or one.value
    parts[i] = ("%s:%s=%s"):format(one.name or "#" .. one.index, one.type, tostring(value))
  end
  return table.concat(parts, " ")
end

local zeros = "a:i32=0 v:v128=" .. ("00"):rep(16) .. " #4:i64=0 #5:f64=0.0 #6:funcref=nil"
local function set(a)
  return ("a:i32=%d v:v128=01000000020000000300000004000000 #4:i64=-5 #5:f64=2.5 #6:funcref=nil"):format(a)
end

describe("frame:locals", function()
  it("gives the locals as they are, further out too, and zeros until the call has begun", function()
    local app = guest.open(text)
    local seen = {}
    app.lunette.on({ "inner", "outer" }, function(call)
      for _, frame in ipairs(call:stack()) do seen[#seen + 1] = frame.definition.name .. " " .. listed(frame) end
    end)
    app.instance:invoke("outer", 4, 0)
    assert.same({ "outer " .. zeros, "inner x:i32=0", "outer " .. set(12), "inner x:i32=0", "outer " .. set(99) }, seen)
  end)

  it("does not show what calls before have left on the stack", function()
    local app = guest.open(text)
    local seen
    app.lunette.on("outer", function(call) seen = listed(call:stack()[1]) end)
    for _ = 1, 3 do app.instance:invoke("outer", 1, 0) end
    assert.equal(zeros, seen)
  end)

  it("gives them at a trap, and none of a call that has returned", function()
    local app = guest.open(text)
    local seen = {}
    app.lunette.on({ "inner", "outer" }, {
      after = function(call)
        local stack = call:stack()
        seen[#seen + 1] = ("after %d %d"):format(#stack[1]:locals(), stack[2] and #stack[2]:locals() or 0)
      end,
      abort = function(call) seen[#seen + 1] = "abort " .. listed(call:stack()[1]) end,
    })
    assert.is_false(pcall(app.instance.invoke, app.instance, "outer", 10, 0))
    app.instance:invoke("outer", 1, 0)
    assert.same({ "abort x:i32=7", "abort " .. set(30), "after 0 5", "after 0 5", "after 0 0" }, seen)
  end)

  it("is empty where there are none, and of host functions", function()
    local app = guest.open([[(module (import "env" "h" (func $h (param i32))) (func (export "f") (call $h (i32.const 1))))]], {
      imports = function(lunette) return { lunette.host("env", { h = { params = { "i32" }, function() end } }) } end,
    })
    local counts = {}
    app.lunette.on("*", function(call)
      for _, frame in ipairs(call:stack()) do counts[#counts + 1] = #frame:locals() end
    end)
    app.instance:invoke("f")
    assert.same({ 0, 0, 0 }, counts)
  end)

  it("refuses a frame whose callback is over: R12", function()
    local app = guest.open(text)
    local kept
    app.lunette.on("plain", function(call) kept = call:stack()[1] end)
    app.instance:invoke("plain", 1)
    assert.matches("stale frame", guest.failure(kept.locals, kept))
  end)

  it("knows them where there are very many", function()
    local many = ("(local %s)"):format(("i64 "):rep(1000)):rep(33)
    local app = guest.open(([[(module (func $in (export "in")) (func (export "f") (param i32) %s
      (local.set 33000 (i64.const 5)) (local.set 1 (i64.const 6)) (call $in)))]]):format(many))
    local seen
    app.lunette.on("in", function(call)
      local all = call.caller and call:stack()[2]:locals()
      seen = { #all, all[1].value, all[2].value, all[33000].value, all[33000].index }
    end)
    app.instance:invoke("f", 0)
    assert.same({ 33000, 6, 0, 5, 33000 }, seen)
  end)

  it("of a loop's function is zero before the loop", function()
    local app = guest.open([[(module (func (export "f") (param $n i32) (local $i i32)
      (loop $again (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br_if $again (i32.lt_u (local.get $i) (local.get $n))))))]])
    local seen = {}
    app.lunette.on("f", { before = function(call) seen[1] = listed(call:stack()[1]) end })
    app.instance:invoke("f", 1000)
    assert.same({ "i:i32=0" }, seen)
  end)
end)
