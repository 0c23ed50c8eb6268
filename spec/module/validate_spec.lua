-- SPDX-License-Identifier: MIT
-- Validation: what is invalid, how it is told, and that malformed comes before invalid. The rules themselves are the
-- official suite's to test.

local guest = require("spec.support.guest")
local sections = require("spec.support.sections")
local wat = require("spec.support.wat")

local function refused(bytes)
  local lunette = guest.session()
  return guest.failure(lunette.module, bytes)
end

local function invalid(message, text)
  local err = refused(wat(text, { invalid = true }))
  assert.same({ "invalid", message }, { err.kind, err.message })
end

local function accepted(text)
  assert.has_no.errors(function() guest.session().module(wat(text)) end)
end

describe("a body", function()
  after_each(guest.close_all)

  it("has operands of the right types", function()
    invalid([[type mismatch: i32.add expected i32, got f32 (function #0 "sum")]],
      [[(module (func $sum (result i32) (i32.add (i32.const 1) (f32.const 2))))]])
    invalid([[type mismatch: i32.add expected i32, got nothing (function #0 "sum")]],
      [[(module (func $sum (result i32) (i32.const 1) i32.add))]])
    invalid([[type mismatch: 1 values too many at the end of a block (function #0 "left")]],
      [[(module (func $left (i32.const 1)))]])
    invalid([[type mismatch: drop expected a value, got nothing (function #0 "below")]],
      [[(module (func $below (i32.const 1) (block drop) drop))]])
    invalid([[type mismatch: an if without else must give what it takes (function #0 "half")]],
      [[(module (func $half (result i32) (if (result i32) (i32.const 1) (then (i32.const 2)))))]])
  end)

  it("names what is there", function()
    invalid([[unknown local 3 (function #0 "f")]], [[(module (func $f (param i32 i32) (local i64) (drop (local.get 3))))]])
    invalid([[unknown function 9 (function #0 "f")]], [[(module (func $f (call 9)))]])
    invalid([[unknown label 1 (function #0 "f")]], [[(module (func $f (br 1)))]])
    invalid([[unknown memory 0 (function #0 "f")]], [[(module (func $f (drop (i32.load (i32.const 0)))))]])
    invalid([[global is immutable (function #0 "f")]],
      [[(module (global i32 (i32.const 0)) (func $f (global.set 0 (i32.const 1))))]])
    invalid([[undeclared function reference: 0 (function #0 "f")]], [[(module (func $f (drop (ref.func 0))))]])
  end)

  it("may ask for anything behind a branch that does not come back", function()
    accepted([[(module (func (result i32) unreachable i32.add))]])
    accepted([[(module (func (result i64) (return (i64.const 1)) drop drop select i64.add))]])
    accepted([[(module (func (result i32) (block (result i32) (br 0 (i32.const 1)) (drop (f32.add)) i32.clz)))]])
    invalid([[type mismatch: i32.add expected i32, got f32 (function #0 "f")]],
      [[(module (func $f (result i32) unreachable f32.const 1 i32.add))]])
  end)

  it("may have many locals in few bytes", function()
    accepted([[(module (func (param i32) (local ]] .. ("i64 f32 "):rep(400) .. [[)
      (local.set 0 (i32.const 1)) (local.set 127 (i64.const 1)) (local.set 255 (i64.const 1)) (local.set 256 (f32.const 1))
      (local.set 799 (i64.const 1)) (local.set 800 (f32.const 1))))]])
    invalid([[type mismatch: local.set expected f32, got i64 (function #0)]],
      [[(module (func (local ]] .. ("i64 f32 "):rep(400) .. [[) (local.set 799 (i64.const 1))))]])
  end)

  it("may be deep", function()
    local depth = 100000
    local code = ("\2\x40"):rep(depth) .. ("\x0b"):rep(depth)
    assert.has_no.errors(function() guest.session().module(sections.with_bodies({ "\0" .. code .. "\x0b" })) end)
  end)
end)

describe("memory instructions", function()
  after_each(guest.close_all)

  it("are aligned to no more than their width", function()
    local function load(align) -- i32.load8_u, then drop; the flags' bytes or their number
      local flags = type(align) == "string" and align or string.char(align)
      return sections.header .. sections.section(1, "\1\x60\0\0") .. sections.section(3, "\1\0")
        .. sections.section(5, "\1\0\1")
        .. sections.section(10, sections.vector({ sections.sized("\0\x41\0\x2d" .. flags .. "\0\x1a\x0b") }))
    end
    assert.has_no.errors(function() guest.session().module(load(0)) end)
    assert.equal("alignment must not be larger than natural: 2^1 for i32.load8_u (function #0)", refused(load(1)).message)
    assert.equal("alignment must not be larger than natural: 2^32 for i32.load8_u (function #0)", refused(load(32)).message)
    assert.equal("malformed memop flags (function #0)", refused(load("\x80\1")).message)
  end)
end)

describe("the rest of a module", function()
  after_each(guest.close_all)

  it("has constant expressions where they belong", function()
    invalid("constant expression required, not i32.and (global #0)",
      [[(module (global i32 (i32.and (i32.const 1) (i32.const 2))))]])
    invalid("type mismatch: a constant expression lacks operands (global #0)",
      [[(module (global i32 (i32.add (i32.const 1))))]])
    invalid("type mismatch: expected i32, got i64 (global #0)", [[(module (global i32 (i32.add (i32.const 1) (i64.const 1))))]])
    accepted([[(module (global i32 (i32.mul (i32.const 6) (i32.sub (i32.const 9) (i32.const 2)))))]])
    invalid("type mismatch: constant expression gives i64, expected i32 (global #0)", [[(module (global i32 (i64.const 1)))]])
    invalid("unknown global 1: only earlier ones count here (global #0)",
      [[(module (global i32 (global.get 1)) (global i32 (i32.const 1)))]])
    accepted([[(module (import "m" "g" (global i32)) (global i32 (global.get 0)) (memory 1) (data (global.get 0) "x"))]])
  end)

  it("is whole", function()
    invalid([[duplicate export name "a" (export #1)]], [[(module (func) (export "a" (func 0)) (export "a" (func 0)))]])
    invalid("unknown memory 0 (export #0)", [[(module (export "m" (memory 0)))]])
    invalid("size minimum must not be greater than maximum (memory #0)", [[(module (memory 2 1))]])
    invalid("memory size must be at most 65536 pages (4GiB) (memory #0)", [[(module (memory 65537))]])
    invalid("unknown table 0 (element segment #0)", [[(module (func) (elem (i32.const 0) 0))]])
    invalid("start function #0 must have no parameters and no results (start section)",
      [[(module (func (param i32)) (start 0))]])
  end)
end)

describe("a module", function()
  after_each(guest.close_all)

  it("is malformed before it is invalid", function()
    local bad, cut = "\0\x1a\x0b", "\0\x41"
    assert.equal("invalid", refused(sections.with_bodies({ bad })).kind)
    local err = refused(sections.with_bodies({ bad, cut }))
    assert.same({ "malformed", "unexpected end (function #1)" }, { err.kind, err.message })
    assert.equal("invalid", refused(sections.with_bodies({ bad, "\0\x0b" })).kind)
  end)

  it("tells where the instruction stands", function()
    local bytes = sections.with_bodies({ "\0\x0b", "\0\x41\1\x6a\x1a\x0b" })
    assert.equal(#bytes - 3, refused(bytes).offset)
  end)

  it("cannot steer a terminal by a name", function()
    local err = refused(wat([[(module (func $f (export "\1b[2J\0aX") (param i32) drop) )]], { invalid = true, names = false }))
    assert.equal([[type mismatch: drop expected a value, got nothing (function #0 "?[2J X")]], err.message)
  end)
end)
