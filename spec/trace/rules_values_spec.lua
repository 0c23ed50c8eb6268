-- SPDX-License-Identifier: MIT
-- The listener contract, rule by rule, from Lua: what is there to be seen, from R10 to R15.

local guest = require("spec.support.guest")

local failure = guest.failure

after_each(guest.close_all)

describe("R10 values", function()
  local function echo(kind)
    return guest.open(('(module (func $f (export "f") (param %s) (result %s) (local.get 0)))'):format(kind, kind))
  end

  local function round_trip(kind, value, bits)
    local app = echo(kind)
    local seen = {}
    app.lunette.on("f", {
      before = function(call, ...) seen[#seen + 1] = { ..., call:bits(1), n = select("#", ...) } end,
      after = function(call, ...) seen[#seen + 1] = { ..., call:bits(1), n = select("#", ...) } end,
    })
    local result = app.instance:invoke("f", value)
    return result, seen, bits
  end

  it("are signed integers for i32 and i64", function()
    for kind, pairs_of in pairs({
      i32 = { { -1, -1, 0xffffffff }, { 0x80000000, -0x80000000, 0x80000000 }, { 5, 5, 5 } },
      i64 = { { -1, -1, -1 }, { math.mininteger, math.mininteger, math.mininteger }, { 7, 7, 7 } },
    }) do
      for _, case in ipairs(pairs_of) do
        local result, seen = round_trip(kind, case[1])
        assert.equal(case[2], result)
        assert.same({ { case[2], case[3], n = 1 }, { case[2], case[3], n = 1 } }, seen)
        assert.equal("integer", math.type(seen[1][1]))
      end
    end
  end)

  it("are floats for f32 and f64", function()
    local _, seen = round_trip("f32", 1.5)
    assert.same({ { 1.5, 0x3fc00000, n = 1 }, { 1.5, 0x3fc00000, n = 1 } }, seen)
    _, seen = round_trip("f64", 3)
    assert.same({ { 3.0, 0x4008000000000000, n = 1 }, { 3.0, 0x4008000000000000, n = 1 } }, seen)
    assert.equal("float", math.type(seen[1][1]))
  end)

  it("keep the payload of a NaN in their bits", function()
    local app = echo("f32")
    local bits
    app.lunette.on("f", { before = function(call) bits = call:bits(1) end })
    local f = app.instance.exports.f
    assert.equal(0x7fa12345, f:invoke_bits(0x7fa12345))
    assert.equal(0x7fa12345, bits)
  end)

  it("of a double that is no float are rounded, and its NaN stays one", function()
    local app = echo("f32")
    local nan = string.unpack("<d", string.pack("<I8", 0x7ff0000000000001))
    local bits = {}
    app.lunette.on("f", { before = function(call) bits[#bits + 1] = call:bits(1) end })
    for _, value in ipairs({ 0.1, 1e300, -1e-300, 0 / 0, nan }) do app.instance:invoke("f", value) end
    bits[4] = bits[4] & 0x7fffffff -- which sign 0/0 has is the processor's
    assert.same({ 0x3dcccccd, 0x7f800000, 0x80000000, 0x7fc00000, 0x7fc00000 }, bits)
  end)

  it("are unsigned on request", function()
    local app = echo("i32")
    local seen
    app.lunette.on("f", function(call) seen = { call:param(1), call:uparam(1) } end)
    app.instance:invoke("f", -2)
    assert.same({ -2, 0xfffffffe }, seen)
  end)

  it("come with exactly the count of the signature", function()
    local app = guest.open([[(module
      (func (export "f") (param i32 i64 f64) (result i64 i32) (local.get 1) (local.get 0)))]])
    local seen = {}
    app.lunette.on("f", {
      before = function(_, ...) seen[#seen + 1] = table.pack(...) end,
      after = function(_, ...) seen[#seen + 1] = table.pack(...) end,
    })
    assert.same({ 2, 1 }, { app.instance:invoke("f", 1, 2, 3) })
    assert.same({ { 1, 2, 3.0, n = 3 }, { 2, 1, n = 2 } }, seen)
  end)

  it("are function objects or nil for funcref", function()
    local app = guest.open([[(module (table (export "t") 2 funcref) (elem (i32.const 0) $g)
      (func $g (export "g"))
      (func $f (export "f") (param i32) (result funcref) (table.get 0 (local.get 0)))
      (func $h (export "h") (param funcref) (result i32) (ref.is_null (local.get 0))))]])
    local seen = {}
    app.lunette.on("f", { after = function(_, ...) seen[#seen + 1] = table.pack(...) end })
    app.lunette.on("h", function(_, ...) seen[#seen + 1] = table.pack(...) end)
    local g = app.instance:invoke("f", 0)
    assert.is_true(g == app.instance.exports.g)
    assert.is_nil(app.instance:invoke("f", 1))
    assert.same({ 0, 1 }, { app.instance:invoke("h", g), app.instance:invoke("h", nil) })
    assert.same({ { g, n = 1 }, { nil, n = 1 }, { g, n = 1 }, { nil, n = 1 } }, seen)
    assert.is_true(app.instance:table("t")[0] == g)
  end)

  it("are the host's own for externref", function()
    local app = guest.open('(module (func $f (export "f") (param externref) (result externref) (local.get 0)))')
    local seen = {}
    app.lunette.on("f", function(_, value) seen[#seen + 1] = value end)
    local value = { "any" }
    assert.is_true(rawequal(value, app.instance:invoke("f", value)))
    assert.is_true(rawequal(value, seen[1]))
    assert.is_nil(app.instance:invoke("f", nil))
    assert.equal("text", app.instance:invoke("f", "text"))
    assert.equal(false, app.instance:invoke("f", false))
  end)
end)

describe("R11 read-only", function()
  it("gives the params as they were to those who asked, in after and abort", function()
    local app = guest.open([[(module
      (func $f (export "f") (param i32 f64) (result i32)
        (local.set 0 (i32.const 9)) (local.get 0))
      (func $g (export "g") (param $x i32) (local.set $x (i32.const 9)) unreachable))]])
    local seen = {}
    app.lunette.on("f", { after = function(call) seen[#seen + 1] = table.pack(call:params()) end }, { params = true })
    app.lunette.on("g", { abort = function(call) seen[#seen + 1] = call:param("x") end }, { params = true })
    assert.equal(9, app.instance:invoke("f", 4, 0.5))
    failure(app.instance.invoke, app.instance, "g", 3)
    assert.same({ { 4, 0.5, n = 2 }, 3 }, seen)
  end)

  it("refuses them to those who did not", function()
    local app = guest.open('(module (func (export "f") (param i32)))')
    local problem
    app.lunette.on("f", { after = function(call) problem = failure(call.params, call) end })
    app.instance:invoke("f", 1)
    assert.is_truthy(problem:find("params=true", 1, true))
  end)

  it("shows the present values in frames further out, and whether they are exact", function()
    local app = guest.open([[(module
      (func $outer (export "outer") (param i32) (local.set 0 (i32.const 8)) (call $inner (i32.const 1)))
      (func $plain (export "plain") (param i32) (call $inner (i32.const 1)))
      (func $inner (param i32)))]])
    local seen = {}
    app.lunette.on("inner", function(call)
      local frame = call:stack()[2]
      seen[#seen + 1] = { frame.definition.name, frame:params(), frame.exact }
    end)
    app.instance:invoke("outer", 3)
    app.instance:invoke("plain", 3)
    assert.same({ { "outer", 8, false }, { "plain", 3, true } }, seen)
  end)

  it("says of each param in frames further out whether it is exact, also where a stack is printed", function()
    local app = guest.open([[(module
      (func $outer (export "outer") (param $a i32) (param $b i32) (param v128 f64)
        (local.set $b (i32.const 8)) (call $inner (i32.const 1)))
      (func $inner (param i32) (if (i32.eqz (local.get 0)) (then unreachable))
        (call $last (local.get 0)))
      (func $last (export "last") (param i32) (local.set 0 (i32.const 0)) unreachable))]])
    local exact, printed, late
    app.lunette.on("inner", { before = function(call)
      local frame = call:stack()[2]
      exact = { frame:is_exact("a"), frame:is_exact("b"), frame:is_exact(3), frame:is_exact(4) }
      printed = tostring(call:stack())
      late = frame
    end })
    local err = failure(app.instance.invoke, app.instance, "outer", 3, 4, ("\1"):rep(16), 1.5)
    assert.same({ true, false, true, true }, exact)
    local values = "a=3, now b=8, 0x01010101010101010101010101010101, 1.5"
    assert.matches("^#0  inner%(1%) %(app%) 0x%x+\n#1  outer%(" .. values .. "%) %(app%) 0x%x+$", printed)
    assert.matches("^#0  last%(now 0%) %(app%) 0x%x+\n#1  inner%(1%) %(app%) 0x%x+\n#2  outer%(" .. values
      .. "%) %(app%) 0x%x+$", tostring(err.stack))
    assert.is_nil(late:is_exact(1))
    assert.is_truthy(failure(late.is_exact, late, 5):find("outer has 4 params, there is no number 5", 1, true))
  end)

  it("refuses to write guest memory, globals and tables in a listener", function()
    local app = guest.open([[(module (memory (export "m") 1) (global (export "g") (mut i32) (i32.const 1))
      (table (export "t") 1 funcref) (func (export "f")))]])
    local problems = {}
    app.lunette.on("f", function(call)
      problems[1] = failure(call.memory.write, call.memory, 0, "x")
      problems[2] = failure(function() call.instance:global("g").value = 2 end)
      problems[3] = failure(function() call.instance:table("t")[0] = nil end)
    end)
    app.instance:invoke("f")
    for i = 1, 3 do assert.is_truthy(problems[i]:find("listeners observe", 1, true), problems[i]) end
    assert.equal(1, app.instance:global("g").value)
  end)

  it("lets a listener of an unsafe session write guest memory, globals and tables", function()
    local app = guest.open([[(module (memory (export "m") 1) (global (export "g") (mut i32) (i32.const 1))
      (table (export "t") 1 funcref) (elem (i32.const 0) $f)
      (func $f (export "f") (result i32) (i32.add (i32.load8_u (i32.const 0)) (global.get 0))))]],
      { session = { unsafe = true } })
    app.lunette.on("f", function(call)
      call.memory:write(0, "A")
      call.instance:global("g").value = 2
      call.instance:table("t")[0] = nil
    end)
    assert.equal(67, app.instance:invoke("f"))
    assert.is_nil(app.instance:table("t")[0])
  end)
end)

describe("R12 the stack", function()
  local chain = [[(module
    (import "env" "again" (func $again (param i32)))
    (func $a (export "a") (param i32) (call $b (local.get 0)))
    (func $b (param i32) (call $c (local.get 0)))
    (func $c (export "c") (param i32) (if (local.get 0) (then (call $again (i32.sub (local.get 0) (i32.const 1)))))))]]

  local function nested()
    local app
    app = guest.open(chain, { imports = function(lunette)
      return { lunette.host("env", { again = { params = { "i32" }, function(_, n) app.instance:invoke("a", n) end } }) }
    end })
    return app
  end

  local function names(stack)
    local list = {}
    for i, frame in ipairs(stack) do list[i] = frame.definition.name end
    return table.concat(list, " ")
  end

  it("goes from the call to the outermost entry, through host frames and re-entries", function()
    local app = nested()
    local seen, reentries = {}, {}
    app.lunette.on("c", function(call)
      local stack = call:stack()
      seen[#seen + 1] = names(stack)
      assert.equal(#stack, call.depth + 1)
      local marks = {}
      for i, frame in ipairs(stack) do if frame.reentry then marks[#marks + 1] = i end end
      reentries[#reentries + 1] = marks
    end)
    app.instance:invoke("a", 1)
    assert.same({ "c b a", "c b a again c b a" }, seen)
    assert.same({ { 3 }, { 3, 7 } }, reentries)
  end)

  it("has a cursor of its own in each listener, restartable", function()
    local app = nested()
    local seen = {}
    app.lunette.on("c", function(call)
      local one, two = call:stack(), call:stack()
      seen[#seen + 1] = one[1].definition.name .. two[2].definition.name .. one[3].definition.name .. one[1].definition.name
      seen[#seen + 1] = tostring(one[4])
    end)
    app.lunette.on("c", function(call) seen[#seen + 1] = names(call:stack()) end)
    app.instance:invoke("a", 0)
    assert.same({ "cbac", "nil", "c b a" }, seen)
  end)

  it("is stale when its callback is over, and says so", function()
    local app = nested()
    local stack, frame, call_kept
    app.lunette.on("c", function(call)
      stack, call_kept = call:stack(), call
      frame = stack[2]
      assert.equal(0, frame:params())
    end)
    app.instance:invoke("a", 0)
    for _, use in ipairs({
      function() return #stack end, function() return stack[1] end, function() return frame:params() end,
    }) do assert.is_truthy(failure(use):find("stale frame", 1, true)) end
    assert.equal("stack (stale)", tostring(stack))
    assert.is_truthy(failure(function() return call_kept.id end):find("stale call", 1, true))
    assert.equal("b", frame.definition.name)
    app.instance:invoke("a", 0)
  end)

  it("can be kept as a snapshot for ever, also after the instance is closed", function()
    local app = nested()
    local snapshot
    app.lunette.on("c", function(call) snapshot = call:snapshot() end)
    app.instance:invoke("a", 0)
    app.instance:close()
    collectgarbage()
    assert.equal("c b a", names(snapshot))
    assert.equal(3, #snapshot)
    assert.equal(0, snapshot.omitted)
    assert.is_truthy(failure(function() return snapshot[2]:params() end):find("stale frame", 1, true))
    local printed = tostring(snapshot)
    assert.is_truthy(printed:match("^#0  c %(app%) 0x%x+\n#1  b %(app%) 0x%x+\n#2  a %(app%) 0x%x+$"), printed)
  end)

  it("has the right values in a walk from within nested callbacks", function()
    local app = nested()
    local seen = {}
    app.lunette.on("c", function(call, n)
      local stack = call:stack()
      local first = stack[1]
      if n > 0 then app.instance:invoke("a", 0) end
      seen[#seen + 1] = { n, names(stack), first:params() }
    end, { reentrant = true })
    app.instance:invoke("c", 1)
    assert.same({ 0, "c b a c", 0 }, seen[1])
    assert.same({ 1, "c", 1 }, seen[2])
  end)
end)

describe("R14 source offsets", function()
  it("are of the call instruction, of the body's first instruction in before, of the trapping one in abort", function()
    local app = guest.open([[(module
      (import "env" "h" (func $h))
      (func $outer (export "outer") nop nop (call $inner))
      (func $inner (local i32) nop (call $h) unreachable))]], {
      imports = function() return { env = { h = { function() end } } } end,
    })
    local seen = {}
    app.lunette.on("inner", {
      before = function(call) seen.before = { call:stack()[1].offset, call:stack()[2].offset } end,
      abort = function(call) seen.abort = { call:stack()[1].offset } end,
    })
    app.lunette.on("h", function(call)
      local stack = call:stack()
      seen.host = { stack[1].offset or "none", stack[1].file_offset or "none", stack[2].offset, stack[2].file_offset }
    end)
    local err = failure(app.instance.invoke, app.instance, "outer")
    local outer, inner = app.module:functions("outer")[1], app.module:functions("inner")[1]
    -- outer: no locals, nop, nop, call at 3; inner: one group of locals, nop at 3, call at 4, unreachable at 6
    assert.same({ inner.offset + 3, outer.offset + 3 }, seen.before)
    assert.same({ inner.offset + 6 }, seen.abort)
    assert.same({ "none", "none", inner.offset + 4, err.stack[1].file_offset - 2 }, seen.host)
    assert.equal(inner.offset + 6, err.stack[1].offset)
    assert.is_true(err.stack[1].file_offset > err.stack[1].offset)
  end)
end)

describe("R15 identity of instances", function()
  it("is the callee's in all events, the importing one for a host function, and the caller is a frame", function()
    local session = guest.session()
    local wat = require("spec.support.wat")
    local library = session.instantiate(session.module(wat('(module $lib (func (export "f")))')), { name = "library" })
    local seen = {}
    local user = session.instantiate(session.module(wat([[(module $user (import "library" "f" (func $lf))
      (import "env" "h" (func $h)) (func $main (export "main") (call $lf) (call $h)))]])),
      { name = "user", imports = { library = library, env = { h = { function(call) seen[#seen + 1] = call.instance end } } } })
    session.on("*", {
      before = function(call) seen[#seen + 1] = { call.name, call.instance, call.caller and call.caller.instance or false } end,
      after = function(call) seen[#seen + 1] = { call.instance, call.caller and call.caller.definition.name or false } end,
    })
    user:invoke("main")
    assert.is_true(seen[1][2] == user and seen[1][3] == false)
    assert.is_true(seen[2][2] == library and seen[2][3] == user)
    assert.is_true(seen[3][1] == library and seen[3][2] == "main")
    assert.is_true(seen[4][2] == user and seen[4][3] == user)
    assert.is_true(seen[5] == user)
    assert.is_true(seen[#seen][1] == user and seen[#seen][2] == false)
  end)

  it("is shown by the instance's name", function()
    local app = guest.open('(module $inside (func $f (export "f") unreachable))', { name = "outside" })
    local err = failure(app.instance.invoke, app.instance, "f")
    assert.is_truthy(tostring(err.stack):find("#0  f (outside)", 1, true), tostring(err.stack))
  end)
end)

describe("R15 a stack", function()
  it("is one line a frame, whatever the names hold", function()
    local app = guest.open('(module (func (export "a\\0ab\\7f") unreachable))', { name = "one\ntwo" })
    local err = failure(app.instance.invoke, app.instance, "a\nb\127")
    assert.is_truthy(tostring(err.stack):match("^#0  a\\x0ab\\x7f %(one\\x0atwo%) 0x%x+$"), tostring(err.stack))
  end)
end)
