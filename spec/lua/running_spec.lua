-- SPDX-License-Identifier: MIT
-- coroutine.running in callbacks: the threads that they run on are nobody's to resume or to close.

local guest = require("spec.support.guest")

after_each(guest.close_all)

local text = [[(module (func (export "f")) (func (export "g")))]]

describe("coroutine.running in a callback", function()
  it("gives a coroutine that is over, which can't be resumed, and closed to no effect", function()
    local app, thread, is_main, calls = guest.open(text), nil, nil, 0
    app.lunette.on("g", function()
      calls = calls + 1
      thread, is_main = coroutine.running()
    end)
    app.lunette.on("f", function()
      app.instance:invoke("g")
      assert(coroutine.status(thread) == "dead")
      assert(select(2, coroutine.resume(thread, "hey")) == "cannot resume dead coroutine")
      assert(coroutine.close(thread))
      app.instance:invoke("g")
    end)
    for _ = 1, 3 do app.instance:invoke("f") end
    assert.same({ 6, true }, { calls, is_main })
    assert.same({}, app.messages)
  end)

  it("gives a coroutine of the script's own as it is", function()
    local app, same = guest.open(text), nil
    app.lunette.on("f", function()
      local own
      own = coroutine.create(function()
        local thread, is_main = coroutine.running()
        return thread == own and not is_main
      end)
      same = select(2, coroutine.resume(own))
    end)
    app.instance:invoke("f")
    assert.is_true(same)
  end)

  it("gives the program's main thread outside", function()
    local thread, is_main = coroutine.running()
    assert.same({ "thread", "running" }, { type(thread), coroutine.status(thread) })
    assert.equal("boolean", type(is_main))
  end)
end)
