-- SPDX-License-Identifier: MIT
-- Typed function references (3.0): as values in Lua, called and tail-called, with listeners (R18), across instances and to
-- host functions; types that are equal by structure; what may not be null.

local guest = require("spec.support.guest")
local sections = require("spec.support.sections")

-- types:     0 (i32) -> i32   1 ((ref null 0), i32) -> i32   2 ((ref 0), i32) -> i32   3 () -> (ref 0)
--            4 (i32, (ref null 4)) -> i32
-- functions: #0 host.double   next: n + 1   by_ref, narrow: call_ref   tail: return_call_ref   next_ref, double_ref: references
--            loop(n, f): n == 0 ? 7 : return_call_ref f(n - 1, f)
-- table t: two functions of type 0, not null, at first next; null_ref g: a mutable global of type (ref null 0)
local bytes = sections.header
  .. sections.section(1, sections.vector({
    "\x60\1\x7f\1\x7f", "\x60\2\x63\0\x7f\1\x7f", "\x60\2\x64\0\x7f\1\x7f", "\x60\0\1\x64\0", "\x60\2\x7f\x63\4\1\x7f",
  }))
  .. sections.section(2, sections.vector({ "\4host\6double\0\0" }))
  .. sections.section(3, sections.vector({ "\0", "\1", "\1", "\2", "\3", "\3", "\4" }))
  .. sections.section(4, sections.vector({ "\x40\0\x64\0\0\2\xd2\1\x0b" }))
  .. sections.section(6, sections.vector({ "\x63\0\1\xd0\0\x0b" }))
  .. sections.section(7, sections.vector({
    "\4next\0\1", "\6by_ref\0\2", "\4tail\0\3", "\6narrow\0\4", "\8next_ref\0\5", "\10double_ref\0\6", "\4loop\0\7", "\1t\1\0",
    "\1g\3\0",
  }))
  .. sections.section(9, sections.vector({ "\3\0\2\0\1" }))
  .. sections.section(10, sections.vector({
    sections.sized("\0\x20\0\x41\1\x6a\x0b"),
    sections.sized("\0\x20\1\x20\0\x14\0\x0b"),
    sections.sized("\0\x20\1\x20\0\x15\0\x0b"),
    sections.sized("\0\x20\1\x20\0\x14\0\x0b"),
    sections.sized("\0\xd2\1\x0b"),
    sections.sized("\0\xd2\0\x0b"),
    sections.sized("\0\x20\0\x45\4\x40\x41\7\x0f\x0b\x20\0\x41\1\x6b\x20\1\x20\1\x15\4\x0b"),
  }))

describe("a typed function reference", function()
  local session, instance
  before_each(function()
    session = guest.session()
    instance = session.instantiate(session.module(bytes), { imports = { host = session.host("host", {
      double = { params = { "i32" }, results = { "i32" }, function(_, n) return 2 * n end },
    }) } })
  end)
  after_each(guest.close_all)

  local function failure(f, ...)
    local ok, err = pcall(f, ...)
    assert.is_false(ok)
    return type(err) == "string" and (err:gsub("^spec/[^:]+:%d+: ", "")) or err.message
  end

  local function heard(f)
    local list, ids = {}, {}
    local attachment = session.on("*", {
      before = function(call)
        ids[call.id] = #list + 1
        list[#list + 1] = ("+%s in place of %s"):format(call.name, call.tail_of and ids[call.tail_of] or "none")
      end,
      after = function(call, ...)
        list[#list + 1] = ("-%s -> %s"):format(call.name, call.tail and call.tail.name or (...))
      end,
      abort = function(call, err) list[#list + 1] = ("!%s %s"):format(call.name, err.code) end,
    })
    f()
    attachment:detach()
    return list
  end

  it("R11 refuses an interceptor's reference of another type, or null where that is none", function()
    local text
    local open = guest.session({ unsafe = true, message = function(told) text = told end })
    local made = open.instantiate(open.module(bytes), { imports = { host = open.host("host", {
      double = { params = { "i32" }, results = { "i32" }, function(_, n) return 2 * n end },
    }) } })
    local good, bad = made:invoke("next_ref"), made.exports.by_ref
    local function refused(name, interceptor, why, call)
      local attachment = open.intercept(name, interceptor)
      text = "nothing was told"
      call()
      assert.is_truthy(text:find(why, 1, true), text)
      attachment:detach()
    end
    local function narrow() assert.equal(42, made:invoke("narrow", good, 41)) end
    local function next_ref() assert.equal("next", made:invoke("next_ref").name) end
    refused("narrow", { params = function(_, _, n) return bad, n end }, "param 1, as intercepted, is no (ref type)", narrow)
    refused("narrow", { params = function(_, _, n) return nil, n end }, "param 1 must be (ref 0), not nil", narrow)
    refused("narrow", function(call, _, n) return call:proceed(bad, n) end, "param 1, as intercepted, is no (ref type)", narrow)
    refused("next_ref", function() return bad end, "next_ref: result 1, as intercepted, is no (ref type)", next_ref)
    refused("next_ref", { results = function() return nil end }, "result 1 must be (ref 0), not nil", next_ref)
    open.intercept("next_ref", function() return made.exports.next end)
    assert.equal("next", made:invoke("next_ref").name)
  end)

  it("is a function object in Lua", function()
    local next_one = instance:invoke("next_ref")
    assert.equal("next", next_one.name)
    assert.equal(42, next_one:invoke(41))
    assert.same({ 42, 42, 42 }, { instance:invoke("by_ref", next_one, 41), instance:invoke("narrow", next_one, 41),
      instance:invoke("tail", next_one, 41) })
    assert.equal(82, instance:invoke("by_ref", instance:invoke("double_ref"), 41))
  end)

  it("has a type with the number of the function type", function()
    local exports = instance.exports
    assert.same({ "(ref null 0)", "i32" }, exports.by_ref.definition.params)
    assert.same({ "(ref 0)", "i32" }, exports.narrow.definition.params)
    assert.same({ "(ref 0)" }, exports.next_ref.definition.results)
    assert.same({ "i32", "(ref null 4)" }, exports.loop.definition.params)
  end)

  it("that is null traps where it is called, and is refused where its type says so", function()
    assert.equal("null function reference", failure(instance.invoke, instance, "by_ref", nil, 1))
    assert.equal("null function reference", failure(instance.invoke, instance, "tail", nil, 1))
    assert.equal("narrow: value 1 must be (ref 0), not nil", failure(instance.invoke, instance, "narrow", nil, 1))
    assert.equal("by_ref: value 1 must be (ref null 0), not a function of another type",
      failure(instance.invoke, instance, "by_ref", instance.exports.by_ref, 1))
    assert.equal("loop: value 2 must be (ref null 4), not a function of another type",
      failure(instance.invoke, instance, "loop", 1, instance.exports.next))
  end)

  it("is all that a typed table or global takes", function()
    local t, g = instance.exports.t, instance.exports.g
    assert.same({ 2, "next", "next" }, { t.size, t[0].name, t[1].name })
    t[1] = instance:invoke("double_ref")
    assert.equal("double", t[1].name)
    assert.has_error(function() t[0] = nil end)
    assert.equal("the table holds functions of another type", failure(function() t[0] = instance.exports.loop end))
    assert.is_nil(g.value)
    g.value = instance.exports.next
    assert.equal("next", g.value.name)
    assert.equal("the global holds functions of another type", failure(function() g.value = instance.exports.loop end))
    g.value = nil
    assert.is_nil(g.value)
  end)

  it("R1 is called like any other function, host functions too", function()
    local next_one, double = instance:invoke("next_ref"), instance:invoke("double_ref")
    assert.same({ "+by_ref in place of none", "+next in place of none", "-next -> 6", "-by_ref -> 6" },
      heard(function() instance:invoke("by_ref", next_one, 5) end))
    assert.same({ "+by_ref in place of none", "+double in place of none", "-double -> 10", "-by_ref -> 10" },
      heard(function() instance:invoke("by_ref", double, 5) end))
    assert.same({ "+by_ref in place of none", "!by_ref null function reference" },
      heard(function() pcall(instance.invoke, instance, "by_ref", nil, 5) end))
  end)

  it("R18 ends the caller's call where it is called in its place, across instances and to host functions", function()
    local next_one, double = instance:invoke("next_ref"), instance:invoke("double_ref")
    local other = session.instantiate(session.module(bytes), { imports = { host = session.host("host", {
      double = { params = { "i32" }, results = { "i32" }, function() return 0 end },
    }) } })
    local expected = { "+tail in place of none", "-tail -> next", "+next in place of 1", "-next -> 6" }
    assert.same(expected, heard(function() instance:invoke("tail", next_one, 5) end))
    assert.same(expected, heard(function() other:invoke("tail", next_one, 5) end))
    assert.same({ "+tail in place of none", "-tail -> double", "+double in place of 1", "-double -> 10" },
      heard(function() other:invoke("tail", double, 5) end))
  end)

  it("R18 takes constant memory, a million times over, traced", function()
    local calls = 0
    assert.equal(7, instance:invoke("loop", 1000000, instance.exports.loop))
    session.on("*", function() calls = calls + 1 end)
    assert.equal(7, instance:invoke("loop", 1000000, instance.exports.loop))
    assert.equal(1000001, calls)
  end)

  it("has the same type in another module, whatever its number there", function()
    local function importing(code)
      return session.module(sections.header
        .. sections.section(1, sections.vector({ "\x60\0\0", "\x60\1\x7f\1\x7f", "\x60\2" .. code .. "\x7f\1\x7f" }))
        .. sections.section(2, sections.vector({ "\1a\6by_ref\0\2" })))
    end
    session.instantiate(importing("\x63\1"), { imports = { a = instance } })
    local module = importing("\x64\1")
    assert.equal("incompatible import type: a.by_ref (function (ref 1) i32 -> i32)",
      failure(session.instantiate, module, { imports = { a = instance } }))
  end)

  it("is no part of a host function's type but as any function", function()
    local fine = session.host("host", { f = { params = { "(ref func)" }, results = { "(ref extern)" }, function() end } })
    assert.is_truthy(fine)
    assert.has_error(function() session.host("host", { f = { params = { "(ref null 0)" }, results = {}, print } }) end)
  end)

  it("of which null is no value comes from no host function as null", function()
    local module = session.module(sections.header
      .. sections.section(1, sections.vector({ "\x60\0\1\x64\x70", "\x60\0\0" }))
      .. sections.section(2, sections.vector({ "\4host\1f\0\0" }))
      .. sections.section(3, sections.vector({ "\1" }))
      .. sections.section(7, sections.vector({ "\3run\0\1" }))
      .. sections.section(10, sections.vector({ sections.sized("\0\x10\0\x1a\x0b") })))
    local given
    local app = session.instantiate(module, { imports = { host = session.host("host", {
      f = { params = {}, results = { "(ref func)" }, function() return given end },
    }) } })
    assert.equal("host function f: result 1 must be (ref func), not nil", failure(app.invoke, app, "run"))
    given = instance.exports.next
    app:invoke("run")
  end)
end)

describe("a local that no value has been given", function()
  after_each(guest.close_all)

  local function body(code)
    return guest.failure(guest.session().module, sections.with_bodies({ "\1\1\x64\0" .. code .. "\x0b" }))
  end

  it("is not read, nor behind the end of the block in which it was given one", function()
    assert.equal("uninitialized local 0 (function #0)", body("\x20\0\x1a").message)
    assert.equal("uninitialized local 0 (function #0)", body("\2\x40\0\x21\0\x20\0\x1a\x0b\x20\0\x1a").message)
    assert.equal("uninitialized local 0 (function #0)", body("\x41\0\4\x40\0\x21\0\5\x20\0\x1a\x0b").message)
    assert.has_no.errors(function()
      guest.session().module(sections.with_bodies({ "\1\1\x64\0\0\x21\0\2\x40\x20\0\x1a\x0b\x20\0\x1a\x0b" }))
    end)
  end)

  it("of a type that is not there is invalid, in whichever body", function()
    local err = guest.failure(guest.session().module, sections.with_bodies({ "\0\x0b", "\1\1\x63\9\x0b" }))
    assert.same({ "invalid", "unknown type (function #1)" }, { err.kind, err.message })
    err = guest.failure(guest.session().module, sections.with_bodies({ "\1\1\x63\9\x0b", "\0\x41" }))
    assert.same({ "malformed", "unexpected end (function #1)" }, { err.kind, err.message })
  end)
end)

describe("types", function()
  after_each(guest.close_all)

  -- Both are (func (param (ref null 0) i32 …)), but the first means itself, and the second the first.
  it("that name an earlier one by its number are not the one that names itself, wherever they are looked up", function()
    for count = 0, 39 do
      local params = "\x63\0" .. ("\x7f"):rep(count)
      local shape = "\x60" .. string.char(count + 1) .. params .. "\0"
      local module = sections.header .. sections.section(1, sections.vector({ shape, shape }))
        .. sections.section(3, sections.vector({ "\1" })) .. sections.section(6, sections.vector({ "\x63\0\0\xd2\0\x0b" }))
        .. sections.section(10, sections.vector({ sections.sized("\0\x0b") }))
      assert.matches("type mismatch", guest.failure(guest.session().module, module).message)
    end
  end)

  it("of an exception's values are checked where the host makes one", function()
    local session = guest.session()
    local module = sections.header
      .. sections.section(1, sections.vector({ "\x60\0\0", "\x60\1\x7f\0", "\x60\1\x64\0\0" }))
      .. sections.section(3, sections.vector({ "\0", "\1" })) .. sections.section(13, sections.vector({ "\0\2" }))
      .. sections.section(7, sections.vector({ "\4good\0\0", "\3bad\0\1", "\3tag\4\0" }))
      .. sections.section(10, sections.vector({ sections.sized("\0\x0b"), sections.sized("\0\x0b") }))
    local exports = session.instantiate(session.module(module)).exports
    assert.is_truthy(exports.tag:exception(exports.good))
    local err = guest.failure(exports.tag.exception, exports.tag, exports.bad)
    assert.matches("value 1 of an exception is not of its type", tostring(err))
  end)
end)
