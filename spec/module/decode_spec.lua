-- SPDX-License-Identifier: MIT
-- From bytes to a module: what is malformed, how it is told, and where.

local guest = require("spec.support.guest")
local sections = require("spec.support.sections")

local header, section, sized, leb = sections.header, sections.section, sections.sized, sections.leb

local function refused(bytes)
  local lunette = guest.session()
  return guest.failure(lunette.module, bytes)
end

local function same(expected, bytes)
  local err = refused(bytes)
  assert.same({ expected.kind or "malformed", expected[1], expected[2] }, { err.kind, err.message, err.offset })
end

describe("a module's header", function()
  after_each(guest.close_all)

  it("is looked for", function()
    same({ "unexpected end: there are no bytes (header)", 0 }, "")
    same({ "unexpected end (header)", 0 }, "\0as")
    same({ "magic header not detected: this is no WebAssembly module (header)", 0 }, "\x7fELF\2\1\1\0")
    same({ "magic header not detected: this is WebAssembly's text format, not the binary one (header)", 0 }, "  (module)")
  end)

  it("has version 1", function()
    same({ "unknown binary version: 2, only version 1 is known (header)", 4 }, "\0asm\2\0\0\0")
    same({ "unknown binary version: this is a component, not a core module; components are not supported (header)", 4 },
      "\0asm\x0d\0\1\0")
  end)

  it("is all that a module needs", function()
    local lunette = guest.session()
    assert.same({}, lunette.module(header):functions())
  end)
end)

describe("sections", function()
  after_each(guest.close_all)

  it("stand in order, each once", function()
    same({ "unexpected content after last section: out of order, or twice (type section)", 13 },
      header .. section(3, "\0") .. section(1, "\0"))
    same({ "unexpected content after last section: out of order, or twice (type section)", 13 },
      header .. section(1, "\0") .. section(1, "\0"))
  end)

  it("are as long as they say", function()
    same({ "length out of bounds: 9 bytes announced, 1 left (type section)", 10 }, header .. "\1\9\0")
    same({ "section size mismatch: 1 bytes too many (type section)", 11 }, header .. section(1, "\0\0"))
    same({ "unexpected end (type section)", 10 }, header .. section(1, ""))
  end)

  it("have a known id", function()
    same({ "malformed section id: 14 (section header)", 8 }, header .. section(14, ""))
  end)

  it("are read without believing a count that the bytes cannot hold", function()
    for id = 1, 11 do
      if id ~= 8 then
        local err = refused(header .. section(id, "\xff\xff\xff\xff\x0f"))
        assert.equal("malformed", err.kind)
        assert.truthy(err.message:find("^unexpected end") or err.message:find("^function and code section"), err.message)
      end
    end
  end)

  it("agree with one another", function()
    same({ "function and code section have inconsistent lengths: 1 and 0 (end of the module)", 18 },
      header .. section(1, "\1\x60\0\0") .. section(3, "\1\0"))
    same({ "data count and data section have inconsistent lengths: 1 and 0 (end of the module)", 11 },
      header .. section(12, "\1"))
  end)
end)

describe("integers and names", function()
  after_each(guest.close_all)

  it("are LEB128 of their width", function()
    same({ "integer representation too long (type section)", 9 }, header .. "\1\x80\x80\x80\x80\x80\0")
    same({ "integer too large (type section)", 9 }, header .. "\1\xff\xff\xff\xff\x1f")
    assert.has_no.errors(function() guest.session().module(header .. "\1\x81\x80\x80\x80\0" .. "\0") end)
  end)

  it("are UTF-8", function()
    local function import(module, name) return header .. section(2, "\1" .. sized(module) .. sized(name) .. "\3\x7f\0") end
    for _, bad in ipairs({ "\x80", "\xc3", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xf8\x88\x80\x80\x80" }) do
      assert.equal("malformed UTF-8 encoding (import section)", refused(import(bad, "x")).message)
      assert.equal("malformed UTF-8 encoding (import section)", refused(import("x", bad)).message)
    end
    local module = guest.session().module(import("h\u{e4}", "\u{1f600}"))
    assert.same({ "h\u{e4}", "\u{1f600}" }, { module.imports[1].module, module.imports[1].name })
  end)
end)

describe("what later versions bring", function()
  after_each(guest.close_all)

  local function told(kind, message, bytes)
    local err = refused(bytes)
    assert.same({ kind, message }, { err.kind, err.message })
  end
  local function body(code) return sections.with_bodies({ "\0" .. code .. "\x0b" }) end
  local function place(text) return text .. " (%s, function #0)" end

  it("is refused with its name", function()
    for text, code in pairs({
      [place("threads are not supported"):format("atomic.fence")] = "\xfe\3\0",
      [place("garbage collection is not supported"):format("struct.new")] = "\xfb\0\0",
      [place("garbage collection is not supported"):format("ref.eq")] = "\xd3",
    }) do
      told("malformed", text, body(code))
    end
    told("malformed", "illegal opcode (function #0)", body("\x27"))
    told("malformed", "integer too large: threads (shared memory) are not supported (memory section)",
      header .. section(5, "\1\3\1\2"))
    told("malformed", "integer too large: threads (shared memory) are not supported (memory section)",
      header .. section(5, "\1\7\1\2"))
    told("malformed", "integer too large: malformed limits flags (memory section)", header .. section(5, "\1\8\1"))
    told("malformed", "malformed value type: garbage collection is not supported (anyref, type section)",
      header .. section(1, "\1\x60\1\x6e\0"))
    told("malformed", "malformed form of a type: garbage collection is not supported (struct, type section)",
      header .. section(1, "\1\x5f\1\x7f\0"))
    local memories = ("\0\0"):rep(101)
    told("invalid", "too many memories: 101, the limit is 100 (memory #100)", header .. section(5, "\101" .. memories))
  end)
end)

describe("vector instructions", function()
  after_each(guest.close_all)

  it("have immediates of their own", function()
    local const = "\xfd\x0c" .. ("\0"):rep(16)
    assert.has_no.errors(function() guest.session().module(sections.with_bodies({ "\0" .. const .. "\x1a\x0b" })) end)
    same({ "unexpected end (function #0)", 25 }, sections.with_bodies({ "\0\xfd\x0c\0\0" }))
    same({ "illegal opcode (function #0)", 23 }, sections.with_bodies({ "\0\xfd\xe7\7\x0b" }))
    local err = refused(sections.with_bodies({ "\0" .. const .. "\xfd\x15\x10\x1a\x0b" }))
    assert.same({ "invalid", "invalid lane index 16: there are 16 (function #0)" }, { err.kind, err.message })
  end)
end)

describe("limits", function()
  after_each(guest.close_all)

  it("are told", function()
    local many = leb(1001) .. ("\x7f"):rep(1001)
    same({ kind = "invalid", "too many parameters: 1001, the limit is 1000 (type section)", 15 },
      header .. section(1, "\1\x60" .. many .. "\0"))
    local err = refused(sections.with_bodies({ "\1" .. leb(50001) .. "\x7f\x0b" }))
    assert.equal("too many locals: the limit is 50000 (function #0)", err.message)
    assert.has_no.errors(function() guest.session().module(sections.with_bodies({ "\1" .. leb(50000) .. "\x7f\x0b" })) end)
  end)
end)
