-- SPDX-License-Identifier: MIT
-- The listener contract, rule by rule, from Lua: listeners, from R6 to R9, and what they cost (R13).

local guest = require("spec.support.guest")
local ways = require("spec.support.ways")

local hear, failure = guest.hear, guest.failure

after_each(guest.close_all)

describe("R6 order", function()
  local function app_with_names(...)
    local app, list = ways.open(), {}
    for _, name in ipairs({ ... }) do
      app.lunette.on("gives", {
        before = function() list[#list + 1] = name .. "+" end,
        after = function() list[#list + 1] = name .. "-" end,
      })
    end
    return app, list
  end

  it("nests attachments", function()
    local app, list = app_with_names("a", "b", "c")
    app.instance:invoke("gives")
    assert.same({ "a+", "b+", "c+", "c-", "b-", "a-" }, list)
  end)

  it("nests abort in the same way", function()
    local app, list = ways.open(), {}
    for _, name in ipairs({ "a", "b" }) do
      app.lunette.on("unreachable", { abort = function() list[#list + 1] = name end })
    end
    failure(app.instance.invoke, app.instance, "unreachable")
    assert.same({ "b", "a" }, list)
  end)

  it("tells the factories of a multi in the order given, all three events alike", function()
    local app, list = ways.open(), {}
    local function named(name)
      return function(definition)
        if definition.name ~= "gives" and definition.name ~= "unreachable" then return nil end
        return {
          before = function() list[#list + 1] = name .. "+" end,
          after = function() list[#list + 1] = name .. "-" end,
          abort = function() list[#list + 1] = name .. "!" end,
        }
      end
    end
    app.lunette.factory(app.lunette.multi(named("a"), named("b")))
    app.instance:invoke("gives")
    failure(app.instance.invoke, app.instance, "unreachable")
    assert.same({ "a+", "b+", "a-", "b-", "a+", "b+", "a!", "b!" }, list)
  end)

  it("freezes who hears a call at its entry", function()
    local app, list = ways.open(), {}
    local second
    app.lunette.on("gives", function()
      list[#list + 1] = "first"
      app.lunette.on("gives", function() list[#list + 1] = "late" end)
      second:detach()
    end)
    second = app.lunette.on("gives", {
      before = function() list[#list + 1] = "second+" end,
      after = function() list[#list + 1] = "second-" end,
    })
    app.instance:invoke("gives")
    assert.same({ "first", "second+", "second-" }, list)
  end)

  it("silences at once with drop", function()
    local app, list = ways.open(), {}
    local second
    app.lunette.on("gives", function() second:detach({ drop = true }) end)
    second = app.lunette.on("gives", {
      before = function() list[#list + 1] = "+" end,
      after = function() list[#list + 1] = "-" end,
    })
    app.instance:invoke("gives")
    assert.same({}, list)
  end)
end)

describe("R7 detach with a call open", function()
  it("still gives that call its after", function()
    local app = ways.open()
    local events, attachment
    events, attachment = hear(app, "deep")
    app.lunette.on("deep", function(_, n) if n == 1 then attachment:detach() end end)
    app.instance:invoke("deep", 2)
    assert.same({ "before deep 2", "before deep 1", "after deep 1", "after deep 2" }, events)
  end)

  it("gives it none with drop", function()
    local app = ways.open()
    local events, attachment
    events, attachment = hear(app, "deep")
    app.lunette.on("deep", function(_, n) if n == 1 then attachment:detach({ drop = true }) end end)
    app.instance:invoke("deep", 2)
    assert.same({ "before deep 2", "before deep 1" }, events)
  end)

  it("may be asked for by its own callback, any number of times", function()
    local app = ways.open()
    local attachment
    local list = {}
    attachment = app.lunette.on("deep", {
      before = function(_, n)
        list[#list + 1] = n
        attachment:detach()
        attachment:detach()
      end,
      after = function(_, n) list[#list + 1] = -n end,
    })
    app.instance:invoke("deep", 3)
    assert.same({ 3, -3 }, list)
    assert.equal(0, attachment.functions)
    assert.equal(1, attachment.calls)
  end)

  it("lets attaching work from the next call entered", function()
    local app = ways.open()
    local events = {}
    local once = app.lunette.on("deep", function(_, n) if n == 2 then hear(app, "deep", nil, events) end end)
    app.instance:invoke("deep", 3)
    once:detach()
    assert.same({ "before deep 1", "before deep 0", "after deep 0", "after deep 1" }, events)
  end)

  it("keeps the data and the objects of what is open", function()
    local app = ways.open()
    local seen = {}
    local attachment
    attachment = app.lunette.on("deep", {
      before = function(call, n)
        call.data = { n }
        if n == 1 then attachment:detach() end
        collectgarbage()
      end,
      after = function(call) seen[#seen + 1] = call.data[1] end,
    })
    app.instance:invoke("deep", 2)
    assert.same({ 1, 2 }, seen)
  end)

  it("does nothing when the handle is forgotten", function()
    local app = ways.open()
    local calls = 0
    app.lunette.on("gives", function() calls = calls + 1 end)
    collectgarbage()
    collectgarbage()
    app.instance:invoke("gives")
    assert.equal(1, calls)
  end)

  it("can be paused instead: calls open then still get their after", function()
    local app = ways.open()
    local events, attachment
    events, attachment = hear(app, "deep")
    app.lunette.on("deep", function(_, n) if n == 1 then attachment:pause() end end)
    app.instance:invoke("deep", 2)
    attachment:resume()
    app.instance:invoke("deep", 0)
    assert.same({ "before deep 2", "before deep 1", "after deep 1", "after deep 2", "before deep 0", "after deep 0" }, events)
  end)

  it("is no parent of calls while it is paused", function()
    local app = ways.open()
    local parents, first, attachment = {}, nil, nil
    attachment = app.lunette.on("deep", { before = function(call, n)
      first = first or call.id
      parents[n] = call.parent_id
      if n == 3 then attachment:pause() end
    end })
    app.lunette.on("deep", function(_, n) if n == 1 then attachment:resume() end end)
    app.instance:invoke("deep", 3)
    assert.same({ [0] = first }, parents)
  end)
end)

describe("R8 a factory", function()
  it("is asked once per definition in index order, and again for each instance made later", function()
    local app = ways.open()
    local names = {}
    app.lunette.factory(function(definition)
      names[#names + 1] = definition.name
      return nil
    end)
    local first = table.concat(names, " ")
    assert.equal("fail leave ends returns br br_if br_table gives unreachable divides loads host_error exits deep deep_trap "
      .. "endless spins", first)
    app.lunette.instantiate(app.module, { imports = { env = { fail = { function() end },
      leave = { params = { "i32" }, function() end } } } })
    assert.equal(first .. " " .. first, table.concat(names, " "))
  end)

  it("may answer no listener, and the function costs nothing", function()
    local app = ways.open()
    local attachment = app.lunette.factory(function(definition) return definition.name == "gives" and function() end end)
    assert.equal(1, attachment.functions)
    app.instance:invoke("returns")
    assert.equal(0, attachment.calls)
  end)

  it("may answer the same listener for many definitions, which is then one", function()
    local app = ways.open()
    local listener = { before = function() error("no") end }
    local attachment = app.lunette.factory(function() return listener end)
    app.instance:invoke("gives")
    app.instance:invoke("returns")
    assert.same({ 1, 1, 1 }, { attachment.errors, attachment.muted, #app.messages })
  end)

  it("is held to its answers, by file, line and function", function()
    local app = ways.open()
    local err = failure(app.lunette.factory, function(definition) return definition.name == "gives" and 7 end)
    local sentence = "rules_listeners_spec.lua:%d+: factory must return a listener or nil, got number %(for gives, #7%)"
    assert.is_truthy(err:match(sentence), err)
    app.instance:invoke("gives")
  end)

  it("may raise: nothing is attached", function()
    local app = ways.open()
    local err = failure(app.lunette.factory, function() error("not now") end)
    assert.is_truthy(err:match("rules_listeners_spec.lua:%d+: not now"), err)
  end)

  it("shares nothing between instances of the same bytes", function()
    local app = ways.open()
    local per_instance = {}
    app.lunette.on("gives", function(call) per_instance[call.instance] = (per_instance[call.instance] or 0) + 1 end)
    local other = app.lunette.instantiate(app.module, { imports = { env = { fail = { function() end },
      leave = { params = { "i32" }, function() end } } } })
    app.instance:invoke("gives")
    other:invoke("gives")
    other:invoke("gives")
    assert.same({ 1, 2 }, { per_instance[app.instance], per_instance[other] })
  end)
end)

describe("R9 an error in a listener", function()
  it("is told once with a traceback, and mutes that listener for new calls", function()
    local app = ways.open()
    local calls = 0
    local attachment = app.lunette.on("gives", function()
      calls = calls + 1
      error("oops")
    end)
    assert.equal(7, app.instance:invoke("gives"))
    assert.equal(7, app.instance:invoke("gives"))
    assert.equal(1, calls)
    assert.equal(1, #app.messages)
    assert.is_truthy(app.messages[1]:match("^[^\n]*rules_listeners_spec.lua:%d+: oops\nstack traceback:\n"), app.messages[1])
    assert.same({ 1, 1 }, { attachment.errors, attachment.muted })
  end)

  it("counts where the listener detached itself before", function()
    local app = ways.open()
    local attachment
    attachment = app.lunette.on("gives", function()
      attachment:detach()
      error("oops")
    end)
    app.instance:invoke("gives")
    assert.same({ 1, 1, 1, true }, { #app.messages, attachment.errors, attachment.muted, attachment.detached })
  end)

  it("names what was raised: a table, or its own text", function()
    for text, value in pairs({ ["a table was raised\n"] = {},
      ["mine\n"] = setmetatable({}, { __tostring = function() return "mine" end }),
      ["a table was raised, whose __tostring fails\n"] = setmetatable({}, { __tostring = function() error("x") end }) }) do
      local app = ways.open()
      app.lunette.on("gives", function() error(value) end)
      app.instance:invoke("gives")
      assert.equal(text, app.messages[1]:sub(1, #text))
    end
  end)

  it("in before counts as not delivered: neither after nor abort follows", function()
    for _, name in ipairs({ "gives", "unreachable" }) do
      local app = ways.open()
      local events = {}
      app.lunette.on(name, {
        before = function() error("no") end,
        after = function() events[#events + 1] = "after" end,
        abort = function() events[#events + 1] = "abort" end,
      })
      pcall(app.instance.invoke, app.instance, name)
      assert.same({}, events)
    end
  end)

  it("leaves calls that it has heard their after or abort", function()
    local app = ways.open()
    local after = {}
    app.lunette.on("deep", {
      before = function(_, n) if n == 0 then error("no") end end,
      after = function(_, n) after[#after + 1] = n end,
    })
    app.instance:invoke("deep", 3)
    assert.same({ 1, 2, 3 }, after)
  end)

  it("does not keep other listeners from the event", function()
    local app = ways.open()
    app.lunette.on("gives", function() error("no") end)
    local events = hear(app, "gives")
    app.instance:invoke("gives")
    assert.same({ "before gives", "after gives 7" }, events)
  end)

  it("in after leaves the result, in abort the first error", function()
    local app = ways.open()
    app.lunette.on("*", { after = function() error("after fails") end, abort = function() error("abort fails") end })
    assert.equal(7, app.instance:invoke("gives"))
    local err = failure(app.instance.invoke, app.instance, "unreachable")
    assert.same({ "trap", "unreachable" }, { err.kind, err.code })
  end)

  it("of a yield is an error, too", function()
    local app = ways.open()
    app.lunette.on("gives", function() coroutine.yield() end)
    local routine = coroutine.wrap(function() return app.instance:invoke("gives") end)
    assert.equal(7, routine())
    assert.is_truthy(app.messages[1]:find("yield", 1, true))
  end)

  it("of a value that is no text is told all the same", function()
    local app = ways.open()
    app.lunette.on("gives", function() error(setmetatable({}, { __tostring = function() return "a table" end })) end)
    app.lunette.on("gives", function() error() end)
    app.instance:invoke("gives")
    assert.equal(2, #app.messages)
    assert.is_truthy(app.messages[1]:find("a table", 1, true) or app.messages[2]:find("a table", 1, true))
  end)

  it("stops the run with on_error=stop, after the event was delivered to all", function()
    local app = ways.open()
    local seen = ways.count(app, "deep")
    app.lunette.on("deep", function(_, n) if n == 2 then error("stop here") end end, { on_error = "stop" })
    local last = hear(app, "deep")
    local err = failure(app.instance.invoke, app.instance, "deep", 3)
    assert.equal("listener", err.kind)
    assert.is_truthy(err.message:find("stop here", 1, true))
    assert.same({ before = 2, abort = 2, after = 0 }, { before = seen.before, abort = seen.abort, after = seen.after })
    assert.same({ "before deep 3", "before deep 2", "abort deep listener", "abort deep listener" }, last)
    assert.equal(1, #app.messages)
  end)

  it("goes to a function that asked for it", function()
    local app = ways.open()
    local told = {}
    local attachment
    attachment = app.lunette.on("gives", function() error("oops") end, {
      on_error = function(text, which) told[#told + 1] = { text:match("oops"), which } end,
    })
    app.instance:invoke("gives")
    assert.equal(1, #told)
    assert.equal("oops", told[1][1])
    assert.is_true(told[1][2] == attachment)
    assert.same({}, app.messages)
  end)

  it("that runs out of stack is caught, too", function()
    local app = ways.open()
    app.lunette.on("gives", function()
      local function f() return 1 + f() end
      f()
    end)
    assert.equal(7, app.instance:invoke("gives"))
    assert.is_truthy(app.messages[1]:find("stack overflow", 1, true))
  end)
end)

describe("R13 cost", function()
  it("of a listener without after is no entry into Lua at the call's end", function()
    local app = ways.open()
    local events = 0
    app.lunette.on("gives", { before = function() events = events + 1 end })
    app.instance:invoke("gives")
    assert.equal(1, events)
  end)

  it("is no memory per event for numbers", function()
    local app = ways.open()
    local calls = 0
    app.lunette.on("deep", {
      before = function(call, n) if call.id and n then calls = calls + 1 end end,
      after = function(call, n) if call.depth and n then calls = calls + 1 end end,
    })
    local deep = app.instance.exports.deep
    deep:invoke(100)
    collectgarbage()
    collectgarbage("stop")
    local before = collectgarbage("count")
    for _ = 1, 100 do deep:invoke(100) end
    local grown = (collectgarbage("count") - before) * 1024
    collectgarbage("restart")
    assert.equal(2 * 101 * 101, calls)
    assert.is_true(grown < 1000, ("%d bytes for %d events"):format(grown, calls))
  end)
end)
