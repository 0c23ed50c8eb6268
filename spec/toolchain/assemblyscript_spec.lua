-- SPDX-License-Identifier: MIT
-- AssemblyScript's imports. Strings are as its compiler lays them out: UTF-16, their size in bytes in the four bytes before.

local guest = require("spec.support.guest")
local run = require("spec.support.run")
local wat = require("spec.support.wat")

-- A data segment with a string at `address`.
local function data(address, text)
  local units = {}
  for _, code in utf8.codes(text) do
    if code > 0xffff then
      code = code - 0x10000
      units[#units + 1] = ("<I2"):pack(0xd800 | code >> 10)
      code = 0xdc00 | code & 0x3ff
    end
    units[#units + 1] = ("<I2"):pack(code)
  end
  local bytes = table.concat(units)
  bytes = ("<I4"):pack(#bytes) .. bytes
  return ('(data (i32.const %d) "%s")'):format(address - 4, bytes:gsub(".", function(c) return ("\\%02x"):format(c:byte()) end))
end

local function module(body)
  return ([[(module
    (import "env" "abort" (func $abort (param i32 i32 i32 i32)))
    (import "env" "trace" (func $trace (param i32 i32 f64 f64 f64 f64 f64)))
    (import "env" "seed" (func $seed (result f64)))
    (memory (export "memory") 1) %s %s %s
    (data (i32.const 396) "\03\00\00\00\00\d8\41\00")
    (func (export "seed") (result f64) (call $seed))
    (func $main (export "_start") %s))]]):format(data(100, "Index out of range"), data(200, "~lib/array.ts"),
    data(300, "h\u{e9}llo \u{1f600}"), body)
end

describe("AssemblyScript's abort", function()
  local function aborts(name, args, message)
    it(name, function()
      local result = run { guest = module("(call $abort " .. args .. ")"), "run", "app.wasm" }
      assert.equal("lunette: trap: " .. message, result.stderr:match("^[^\n]*"))
      assert.matches("\n  at abort%([-%d, ]+%) %(env%)\n  at main %(app%) 0x", result.stderr)
      assert.equal(134, result.status)
    end)
  end
  aborts("traps with message and place", "(i32.const 100) (i32.const 200) (i32.const 114) (i32.const 42)",
    "abort: Index out of range in ~lib/array.ts:114:42")
  aborts("may have no message", "(i32.const 0) (i32.const 200) (i32.const 1) (i32.const 2)", "abort in ~lib/array.ts:1:2")
  aborts("may have nothing at all", "(i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)", "abort")
  aborts("takes addresses that lie outside for null", "(i32.const -2) (i32.const 65536) (i32.const 1) (i32.const 2)", "abort")
  aborts("shows half a surrogate as the replacement character",
    "(i32.const 400) (i32.const 0) (i32.const 0) (i32.const 0)", "abort: \u{fffd}")

  it("is an abort of kind trap, with a code of its own, for listeners", function()
    local lunette = guest.session()
    local app = lunette.instantiate(lunette.module(wat(module("(call $abort " .. ("(i32.const 0)"):rep(4) .. ")"))))
    local told = {}
    lunette.on("*", { abort = function(call, err) told[#told + 1] = call.name .. " " .. err.kind .. " " .. err.code end })
    assert.is_false((pcall(app.invoke, app, "_start")))
    assert.same({ "abort trap unreachable", "main trap unreachable" }, told)
    guest.close_all()
  end)
end)

describe("AssemblyScript's trace", function()
  local function traces(args, line)
    it("writes " .. line, function()
      local result = run { guest = module("(call $trace " .. args .. ")"), "run", "app.wasm" }
      assert.equal(line .. "\n", result.stderr)
      assert.equal(0, result.status)
    end)
  end
  local zeros = " (f64.const 0) (f64.const 0) (f64.const 0) (f64.const 0) (f64.const 0)"
  traces("(i32.const 300) (i32.const 0)" .. zeros, "trace: h\u{e9}llo \u{1f600}")
  traces("(i32.const 300) (i32.const 2)" .. zeros, "trace: h\u{e9}llo \u{1f600} 0, 0")
  traces("(i32.const 0) (i32.const 5) (f64.const 1) (f64.const -0.5) (f64.const 1e21) (f64.const nan) (f64.const -inf)",
    "trace:  1, -0.5, 1e+21, NaN, -Infinity")
  traces("(i32.const 0) (i32.const 9) (f64.const 0.1) (f64.const 123456789) (f64.const 1e-7) (f64.const 1e20) (f64.const 1e-6)",
    "trace:  0.1, 123456789, 1e-7, 100000000000000000000, 0.000001")
end)

describe("AssemblyScript's seed", function()
  after_each(guest.close_all)

  it("differs from run to run, unless they are to be alike", function()
    local function seed(settings)
      local lunette = guest.session()
      return lunette.instantiate(lunette.module(wat(module(""))), settings):invoke("seed")
    end
    assert.are_not.equal(seed(), seed())
    assert.equal(seed({ wasi = { deterministic = true } }), seed({ wasi = { deterministic = true } }))
  end)
end)
