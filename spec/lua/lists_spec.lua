-- SPDX-License-Identifier: MIT
-- Lists and descriptions that scripts give, read by C: whatever their metamethods say, nothing is read or written that is not
-- there. The address sanitizer sees more of it.

local guest = require("spec.support.guest")

local failure = guest.failure

local app, heard

before_each(function()
  app = guest.open('(module (func (export "f") (param i32)) (func (export "g")))')
  heard = 0
end)
after_each(guest.close_all)

local function count() heard = heard + 1 end

-- What lists claim to hold: so much that sizes in bytes overflow, less than nothing, more than there is.
local lengths = { 1 << 61, (1 << 61) + 3, -1, -(1 << 62) + 5, 1 << 20 }

local function claims(list, length)
  return setmetatable(list, {
    __len = function() return length end,
    __index = function(_, i) return math.type(i) == "integer" and i <= 100000 and "x" .. i or nil end,
  })
end

describe("a list whose metamethods lie", function()
  for _, length in ipairs(lengths) do
    it(("is what it holds, and not the %d values that it claims"):format(length), function()
      app.lunette.on(claims({ "f" }, length), count)
      app.lunette.on({ name = claims({ "f" }, length), index = claims({ 0, 0 }, length) }, count)
      local pairing = app.lunette.pairing({ where = claims({ "f" }, length) })
      local total = app.lunette.count({ by = claims({ "name" }, length), quiet = true })
      app.lunette.on("*", total)
      app.lunette.host("h", { h = { params = claims({ "i32" }, length), results = claims({}, length), function() end } })
      app.instance:invoke("f", 1)
      app.instance:invoke("g")
      assert.equal(2, heard)
      assert.equal(1, pairing.befores)
      assert.equal(2, #total:table())
    end)
  end

  it("is refused where it holds more than anybody means", function()
    local many = {}
    for i = 1, 500001 do many[i] = "f" end
    assert.matches("where: a list can hold 500000 values at most", tostring(failure(app.lunette.on, many, count)))
  end)
end)

describe("a description that a script has written into", function()
  for what, spoil in pairs({
    ["a name that is a number"] = function(reading) reading.name = 12345.5 end,
    ["a name that is a table"] = function(reading) reading.name = {} end,
    ["a source that is none"] = function(reading) reading.source = "x" end,
    ["no source"] = function(reading) reading.source = nil end,
    ["a label that is no text"] = function(reading) reading.label = {} end,
  }) do
    it("is refused with " .. what, function()
      local reading = app.lunette.arg(1)
      spoil(reading)
      assert.matches("no description", tostring(failure(app.lunette.count, { by = reading })))
      assert.matches("no description", tostring(failure(app.lunette.sum, { value = reading })))
      if not what:find("label") then
        assert.matches("no description", tostring(failure(app.lunette.count, { when = reading:gt(1) })))
      end
    end)
  end

  it("is nobody else's", function()
    local other = guest.session()
    app.lunette.elapsed.source, app.lunette.caller.label = "arg", "spoilt"
    assert.equal("elapsed", other.elapsed.source)
    assert.equal("caller", app.lunette.caller.label)
    for _, one in ipairs({ other.elapsed, other.arg(1):gt(1), other.multi(print), other.stack({ { name = "f" } }),
                           other.stack({ { name = "f" } })[1] }) do
      assert.equal("string", type(getmetatable(one)))
    end
  end)

  it("has a name that is a text, if any", function()
    assert.matches("count: name: a text expected, got number", tostring(failure(app.lunette.count, { name = 5 })))
    assert.matches("balance: name: a text expected, got table", tostring(failure(app.lunette.balance, "f", "g", { name = {} })))
  end)
end)
