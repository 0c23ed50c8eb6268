-- SPDX-License-Identifier: MIT
-- lunette.hex and lunette.json, and how values are printed.

local lunette = require("lunette")
local render = require("lunette.render")

describe("lunette.hex", function()
  it("prints numbers and bytes", function()
    assert.equal("0xff", lunette.hex(255))
    assert.equal("0xffffffffffffffff", lunette.hex(-1))
    assert.equal("00ff61", lunette.hex("\0\255a"))
    assert.has_error(function() lunette.hex({}) end)
  end)
end)

describe("lunette.json", function()
  it("keeps integers exact", function()
    assert.equal('{"a":[9223372036854775807,-1,"x"]}', lunette.json({ a = { math.maxinteger, -1, "x" } }))
  end)
end)

describe("render", function()
  it("prints floats so that they read back as the same", function()
    for value, text in pairs({ [1.0] = "1.0", [0.1] = "0.1", [1e300] = "1e+300", [-2.5] = "-2.5", [math.huge] = "inf",
      [0.1 + 0.2] = "0.30000000000000004" }) do
      assert.equal(text, render.float(value))
    end
    assert.equal("nan", render.float(0 / 0))
  end)

  it("prints guest values by their type", function()
    assert.equal("7", render.value(7, "i32"))
    assert.equal("7.0", render.value(7.0, "f64"))
    assert.equal("nil", render.value(nil, "funcref"))
    assert.equal("0x" .. ("0"):rep(30) .. "01", render.value("\1" .. ("\0"):rep(15), "v128"))
  end)
end)
