-- SPDX-License-Identifier: MIT
-- Guest memory from Lua.

local guest = require("spec.support.guest")

local failure = guest.failure

local memory

before_each(function()
  local app = guest.open([[(module (memory (export "m") 1)
    (data (i32.const 0) "\01\ff\80\fe\00\00\80\3f\00\00\00\00\00\00\f8\3f") (data (i32.const 64) "hello\00world"))]])
  memory = app.instance.memory
end)
after_each(guest.close_all)

describe("memory", function()
  it("reads numbers", function()
    assert.same({ 1, 255, -1 }, { memory:u8(0), memory:u8(1), memory:s8(1) })
    assert.same({ 0xff01, 0xff01 - 0x10000 }, { memory:u16(0), memory:s16(0) })
    assert.same({ 0xfe80ff01, 0xfe80ff01 - (1 << 32) }, { memory:u32(0), memory:i32(0) })
    assert.equal(0x3f800000fe80ff01, memory:i64(0))
    assert.same({ 1.0, 1.5 }, { memory:f32(4), memory:f64(8) })
  end)

  it("reads strings, lists and dumps", function()
    assert.equal("hello\0wor", memory:string(64, 9))
    assert.equal("", memory:string(65536, 0))
    assert.equal("hello", memory:cstring(64))
    assert.equal("hel", memory:cstring(64, 3))
    assert.equal("hello", memory:cstring(64, 30))
    assert.same({ 104, 101 }, memory:bytes(64, 2))
    assert.equal("00000040  68 65 6c 6c 6f 00 77 6f  72 6c 64 00 00 00 00 00  |hello.world.....|\n"
      .. "00000050  00 00                                             |..|", memory:hexdump(64, 18))
    assert.equal("", memory:hexdump(0, 0))
  end)

  it("finds bytes", function()
    assert.equal(70, memory:find("world"))
    assert.is_nil(memory:find("world", 71))
    assert.is_nil(memory:find("nowhere"))
    assert.is_nil(memory:find("x", 65536))
  end)

  it("counts addresses modulo 2^32", function()
    assert.equal(1, memory:u8(1 << 32))
    local err = failure(memory.u8, memory, -1)
    assert.is_truthy(err:find("0xffffffff", 1, true), err)
  end)

  it("refuses what lies outside, with address and size", function()
    for _, case in ipairs({ { "u8", 65536 }, { "u32", 65533 }, { "f64", 65529 }, { "string", 65530, 7 },
      { "string", 0, 1 << 40 }, { "bytes", 0, 65537 }, { "hexdump", 65536, 1 },
      { "cstring", 70000 }, { "write", 65535, "xx" } }) do
      local err = failure(memory[case[1]], memory, table.unpack(case, 2))
      assert.is_truthy(err:find("lie outside of the memory's 65536 bytes", 1, true), err)
    end
    assert.is_truthy(failure(memory.string, memory, 0, -1):find("a size is not negative", 1, true))
  end)

  it("is written by programs", function()
    memory:write(65534, "ab")
    assert.equal("ab", memory:string(65534, 2))
    memory:write(65536, "")
  end)

  it("tells its size", function()
    assert.same({ 65536, 65536 }, { memory:size(), #memory })
  end)
end)
