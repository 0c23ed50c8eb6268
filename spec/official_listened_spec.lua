-- SPDX-License-Identifier: MIT
-- R24 The official test suites once more, with a listener in Lua on every function: before, after and abort. All of their
-- assertions hold as they do untraced, and each before has its after or abort.

if require("spec.support.command").sanitized then
  it("the official suites with a listener in Lua", function() pending("too many calls under sanitizers") end)
  return
end

local befores, ends = 0, 0

local function listen(session)
  local function ended() ends = ends + 1 end
  session.on(function() return true end, { before = function() befores = befores + 1 end, after = ended, abort = ended })
end

local wast = require("spec.support.wast")
wast.how, wast.prepare = "with a listener in Lua: ", listen
assert(loadfile("spec/official_spec.lua", "t", _ENV))()

teardown(function()
  print(("  %d calls heard, %d ended"):format(befores, ends))
  assert(befores == ends, "each before has its after or abort")
end)

describe("the listener of the suites", function()
  it("hears calls of its sessions", function()
    local session <close> = require("lunette").session({})
    local before = befores
    listen(session)
    session.instantiate(session.module(require("spec.support.wat")('(module (func (export "f")))'))):invoke("f")
    assert.equal(before + 1, befores)
  end)
end)
