-- SPDX-License-Identifier: MIT
-- lunette.api against the live module: nothing missing, nothing that is not there.

local api = require("lunette.api")
local core = require("lunette.core")
local guest = require("spec.support.guest")

after_each(guest.close_all)

local function listed(class)
  local names = {}
  for _, row in ipairs(api.rows) do
    local owner, mark, name = row[1]:match("^(%w+)([.:])([%w_]+)$")
    if owner == class then names[name] = mark end
  end
  return names
end

describe("lunette.api", function()
  it("lists the module's fields", function()
    local session = guest.session()
    local live = {} -- at first what is read when asked for
    local fields = "failures guest instances scripts state uv where elapsed self_time stack_depth memory_size caller"
    for name in fields:gmatch("%S+") do
      live[name] = "."
    end
    for name in pairs(session) do live[name] = "." end
    assert.same(live, listed("lunette"))
    for name in pairs(live) do pcall(function() return session[name] end) end
  end)

  -- Not part of the API: they stay inside of it.
  local inside = { session = true, where = true }

  for class, members in pairs(core.members()) do
    if not inside[class] then
      it("lists the fields and methods of " .. class, function()
        local live = {}
        for name, kind in pairs(members) do live[name] = kind == "method" and ":" or "." end
        assert.same(live, listed(class))
      end)
    end
  end

  it("has a signature and one line of help for each", function()
    for _, row in ipairs(api.rows) do
      assert.is_true(#row == 3 and #row[2] > 0 and #row[3] > 0 and not row[3]:find("\n"), row[1])
    end
  end)

  it("gives help by name and by class", function()
    assert.is_truthy(api.help("on"):find("lunette.on(where, listener", 1, true))
    assert.is_truthy(api.help("call:param"):find("call:param(i | name)", 1, true))
    assert.is_truthy(api.help("frame"):find("frame.offset", 1, true))
    assert.is_nil(api.help("nothing"))
    local names = {}
    for _, name in ipairs(api.names()) do names[name] = true end
    assert.is_true(names["on"] and names["lunette.on"] and names["call"])
  end)
end)
