-- SPDX-License-Identifier: MIT
-- R24 The official test suites once more, with a listener in C on every function of every store (spec/c/traced.c): all of
-- their assertions hold as they do untraced, and each before has its after or abort.

local command = require("spec.support.command")

local folder = command.build .. "/spec/traced/"
package.cpath = folder .. "?.so;" .. package.cpath
assert(not package.loaded["lunette.core"])
local counts = assert(package.loadlib(folder .. "lunette/core.so", "luaopen_lunette_traced"))()

require("spec.support.wast").how = "traced in C: "
assert(loadfile("spec/official_spec.lua", "t", _ENV))()

teardown(function()
  local befores, afters, aborts = counts()
  print(("  %d calls heard: %d returned, %d aborted"):format(befores, afters, aborts))
  assert(befores == afters + aborts, "each before has its after or abort")
end)

describe("the listener of the suites", function()
  it("hears calls of its stores", function()
    local session <close> = require("lunette").session({})
    local wat = require("spec.support.wat")
    local before = counts()
    session.instantiate(session.module(wat('(module (func (export "f")))'))):invoke("f")
    assert.equal(before + 1, (counts()))
  end)
end)
