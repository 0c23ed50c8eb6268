-- SPDX-License-Identifier: MIT
-- Memories and tables with 64-bit addresses (3.0): what lies beyond 32 bits, sums that would overflow, 32- and 64-bit
-- memories side by side, and the same memory seen from Lua.

local lunette = require("lunette")
local sections = require("spec.support.sections")
local wat = require("spec.support.wat")

describe("a memory with 64-bit addresses", function()
  local session
  before_each(function() session = lunette.session({}) end)
  after_each(function() session:close() end)

  local function instantiate(text, imports, options)
    return session.instantiate(session.module(wat(text, options)), { imports = imports })
  end

  local function trap_of(f, ...)
    local ok, err = pcall(f, ...)
    return not ok and err.kind == "trap" and err.code or tostring(err)
  end

  -- 65,600 pages are 4 GiB and 4 MiB, of which only what is touched takes memory.
  local big = [[
    (module (memory (export "m") i64 65600 70000)
      (func (export "put") (param i64 i64) (i64.store offset=8 (local.get 0) (local.get 1)))
      (func (export "get") (param i64) (result i64) (i64.load offset=8 (local.get 0)))
      (func (export "vector") (param i64) (result i64)
        (v128.store offset=16 (local.get 0) (v128.load64_splat offset=8 (local.get 0)))
        (i64x2.extract_lane 1 (v128.load64_lane offset=24 1 (local.get 0) (v128.const i64x2 0 0))))
      (func (export "fill") (param i64 i32 i64) (memory.fill (local.get 0) (local.get 1) (local.get 2)))
      (func (export "size") (result i64) (memory.size))
      (func (export "grow") (param i64) (result i64) (memory.grow (local.get 0))))]]

  -- Offsets that wat2wasm refuses: far(i64) -> i32 loads a byte 2^32 behind the address, farther 2^64 - 1, far_put(i64, i32)
  -- stores one, far_vector(i64) -> i32 goes by a vector. Of the memory m.m.
  local function instantiate_far(instance)
    local far, farthest = "\x80\x80\x80\x80\x10", ("\xff"):rep(9) .. "\1"
    local bytes = sections.header
      .. sections.section(1, sections.vector({ "\x60\1\x7e\1\x7f", "\x60\2\x7e\x7f\0" }))
      .. sections.section(2, sections.vector({ "\1m\1m\2\4\0" }))
      .. sections.section(3, sections.vector({ "\0", "\0", "\1", "\0" }))
      .. sections.section(7, sections.vector({ "\3far\0\0", "\7farther\0\1", "\7far_put\0\2", "\10far_vector\0\3" }))
      .. sections.section(10, sections.vector({
        sections.sized("\0\x20\0\x2d\0" .. far .. "\x0b"),
        sections.sized("\0\x20\0\x2d\0" .. farthest .. "\x0b"),
        sections.sized("\0\x20\0\x20\1\x3a\0" .. far .. "\x0b"),
        sections.sized("\0\x20\0\xfd\7\0" .. far .. "\xfd\x16\5\x0b"),
      }))
    return session.instantiate(session.module(bytes), { imports = { m = instance } })
  end

  it("is read and written beyond 4 GiB", function()
    local instance = instantiate(big)
    local beyond = (1 << 32) + 24
    instance:invoke("put", beyond, 0x1122334455667788)
    assert.equal(0x1122334455667788, instance:invoke("get", beyond))
    assert.equal(0, instance:invoke("get", 24))
    local far = instantiate_far(instance)
    assert.same({ 0x88, 0x88 }, { far:invoke("far", 32), far:invoke("far_vector", 32) })
    far:invoke("far_put", 33, 0xee)
    assert.equal(0x112233445566ee88, instance:invoke("get", beyond))
    assert.equal(0x112233445566ee88, instance:invoke("vector", beyond))
    instance:invoke("fill", beyond, 7, 100)
    assert.equal(0x0707070707070707, instance:invoke("get", beyond))
  end)

  it("has bounds that no sum gets around", function()
    local instance = instantiate(big)
    local far = instantiate_far(instance)
    local size = 65600 * 65536
    instance:invoke("put", size - 16, 1)
    for _, address in ipairs({ size - 15, size, -1, -8, -9, -16, math.mininteger, math.maxinteger }) do
      assert.equal("out of bounds memory access", trap_of(instance.invoke, instance, "put", address, 1))
      assert.equal("out of bounds memory access", trap_of(instance.invoke, instance, "get", address))
    end
    for _, address in ipairs({ size - (1 << 32), -1, -(1 << 32) }) do
      assert.equal("out of bounds memory access", trap_of(far.invoke, far, "far", address))
      assert.equal("out of bounds memory access", trap_of(far.invoke, far, "far_vector", address))
      assert.equal("out of bounds memory access", trap_of(far.invoke, far, "far_put", address, 1))
    end
    for _, address in ipairs({ 0, 1, 2, -1 }) do
      assert.equal("out of bounds memory access", trap_of(far.invoke, far, "farther", address))
    end
    for _, range in ipairs({ { size, 1 }, { size - 1, 2 }, { 0, -1 }, { -1, 1 }, { -1, -1 }, { 1 << 40, 0 } }) do
      assert.equal("out of bounds memory access", trap_of(instance.invoke, instance, "fill", range[1], 0, range[2]))
    end
    instance:invoke("fill", size, 0, 0)
  end)

  it("grows in pages counted in 64 bits", function()
    local instance = instantiate(big)
    assert.equal(65600, instance:invoke("size"))
    for _, pages in ipairs({ 4401, 1 << 32, (1 << 48) + 1, -1, math.mininteger }) do
      assert.equal(-1, instance:invoke("grow", pages))
    end
    assert.equal(65600, instance:invoke("grow", 100))
    assert.equal(65700, instance:invoke("size"))
  end)

  it("stands beside one with 32-bit addresses", function()
    local instance = instantiate([[
      (module (memory $a (export "a") 1) (memory $b (export "b") i64 1)
        (data (memory $b) (i64.const 10) "hello")
        (func (export "out") (memory.copy $a $b (i32.const 100) (i64.const 10) (i32.const 5)))
        (func (export "back") (param i32) (memory.copy $b $a (i64.const 200) (i32.const 100) (local.get 0)))
        (func (export "both") (result i32 i32)
          (i32.load8_u $a (i32.const 100)) (i32.load8_u $b (i64.const 200))))]], nil, { invalid = true })
    instance:invoke("out")
    instance:invoke("back", 5)
    assert.same({ 104, 104 }, { instance:invoke("both") })
    assert.equal("hello", instance.exports.b:string(200, 5))
    assert.equal("out of bounds memory access", trap_of(instance.invoke, instance, "back", -1))
  end)

  it("is another thing for import than one with 32-bit addresses", function()
    local wide, narrow = session.memory({ min = 1, max = 2, address = "i64" }), session.memory({ min = 1, max = 2 })
    assert.same({ "i64", "i32" }, { wide.address, narrow.address })
    local text = [[(module (import "host" "m" (memory i64 1 2)) (func (export "size") (result i64) (memory.size)))]]
    assert.equal(1, instantiate(text, { host = session.host("host", { m = wide }) }):invoke("size"))
    local ok, err = pcall(instantiate, text, { host = session.host("host", { m = narrow }) })
    assert.is_false(ok)
    assert.equal("unlinkable", err.kind)
    assert.equal("incompatible import type: host.m (memory i64 1..2 pages)", err.message)
  end)

  it("has addresses that Lua does not cut to 32 bits", function()
    local memory = instantiate(big).memory
    assert.equal("i64", memory.address)
    memory:write((1 << 32) + 5, "far")
    assert.equal("far", memory:cstring((1 << 32) + 5))
    assert.equal(0, memory:u8(5))
    assert.equal((1 << 32) + 5, memory:find("far", 1 << 32))
    assert.has_error(function() memory:u8(-1) end,
      "1 bytes at 0xffffffffffffffff lie outside of the memory's 4299161600 bytes")
  end)

  it("may not be as large as its module says, and then the message tells", function()
    local ok, err = pcall(instantiate, "(module (memory i64 0x1000000000000))")
    assert.is_false(ok)
    assert.equal("exhausted", err.kind)
    assert.equal("a memory of 281474976710656 pages is over the limit of 262144", err.message)
    ok, err = pcall(instantiate, "(module (memory i64 0x1000000000001))", nil, { invalid = true })
    assert.is_false(ok)
    assert.equal("memory size must be at most 2^48 pages (memory #0)", err.message)
  end)

  it("is none that WASI can work with: a call says so", function()
    local app = session.instantiate(session.module(wat([[
      (module (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
        (memory i64 1) (func (export "run") (result i32) (call $random (i32.const 0) (i32.const 4))))]])), { wasi = {} })
    local ok, err = pcall(app.invoke, app, "run")
    assert.is_false(ok)
    assert.equal("host", err.kind)
    assert.equal("WASI preview 1 has 32-bit addresses; the guest's memory has 64-bit ones", err.message)
  end)
end)

describe("a table with 64-bit indexes", function()
  local session
  before_each(function() session = lunette.session({}) end)
  after_each(function() session:close() end)

  -- Tables i64 of 10..20 functions, and as many with 32-bit indexes; element 3 of the first gives 42.
  --   call(i64) -> i32, tail(i64) -> i32, size() -> i64, grow(i64) -> i64, is_null(i64) -> i32, copy(i64)
  local bytes = sections.header
    .. sections.section(1, sections.vector({
      "\x60\0\1\x7f", "\x60\1\x7e\1\x7f", "\x60\0\1\x7e", "\x60\1\x7e\1\x7e", "\x60\1\x7e\0",
    }))
    .. sections.section(3, sections.vector({ "\0", "\1", "\1", "\2", "\3", "\1", "\4" }))
    .. sections.section(4, sections.vector({ "\x70\5\10\20", "\x70\1\10\20" }))
    .. sections.section(7, sections.vector({
      "\4call\0\1", "\4tail\0\2", "\4size\0\3", "\4grow\0\4", "\7is_null\0\5", "\4copy\0\6", "\1t\1\0",
    }))
    .. sections.section(9, sections.vector({ "\0\x42\3\x0b\1\0" }))
    .. sections.section(10, sections.vector({
      sections.sized("\0\x41\42\x0b"),
      sections.sized("\0\x20\0\x11\0\0\x0b"),
      sections.sized("\0\x20\0\x13\0\0\x0b"),
      sections.sized("\0\xfc\x10\0\x0b"),
      sections.sized("\0\xd0\x70\x20\0\xfc\x0f\0\x0b"),
      sections.sized("\0\x20\0\x25\0\xd1\x0b"),
      sections.sized("\0\x41\0\x20\0\x41\1\xfc\x0e\1\0\x41\0\x11\0\1\x1a\x0b"), -- to the second, and called there
    }))

  it("is called through, grown and read by them", function()
    local instance = session.instantiate(session.module(bytes))
    assert.same({ 42, 42 }, { instance:invoke("call", 3), instance:invoke("tail", 3) })
    assert.same({ 0, 1 }, { instance:invoke("is_null", 3), instance:invoke("is_null", 4) })
    instance:invoke("copy", 3)
    assert.same({ 10, 10, 15 }, { instance:invoke("size"), instance:invoke("grow", 5), instance:invoke("size") })
    for _, count in ipairs({ 6, (1 << 32) + 1, -1 }) do assert.equal(-1, instance:invoke("grow", count)) end
    local beyond = { 15, (1 << 32) + 3, -1, math.mininteger }
    for _, index in ipairs(beyond) do
      for name, code in pairs({ call = "undefined element", tail = "undefined element", is_null = "out of bounds table access",
        copy = "out of bounds table access" }) do
        local ok, err = pcall(instance.invoke, instance, name, index)
        assert.is_false(ok)
        assert.equal(code, err.code)
      end
    end
    assert.equal("i64", instance.exports.t.address)
    assert.equal(42, instance.exports.t[3]:invoke())
  end)

  it("is another thing for import than one with 32-bit indexes", function()
    local module = session.module(sections.header .. sections.section(2, sections.vector({ "\4host\1t\1\x70\5\1\20" })))
    local wide = session.table({ min = 10, max = 20, address = "i64" })
    session.instantiate(module, { imports = { host = session.host("host", { t = wide }) } })
    local ok, err = pcall(session.instantiate, module,
      { imports = { host = session.host("host", { t = session.table({ min = 10, max = 20 }) }) } })
    assert.is_false(ok)
    assert.equal("incompatible import type: host.t (table i64 1..20 funcref)", err.message)
  end)
end)
