-- SPDX-License-Identifier: MIT
-- The listener contract, rule by rule, from Lua.

local guest = require("spec.support.guest")

local hear, failure = guest.hear, guest.failure

-- A guest with a function for each way out.
local ways_out = [[(module
  (import "env" "fail" (func $fail))
  (import "env" "leave" (func $leave (param i32)))
  (memory 1)
  (func $ends (export "ends"))
  (func $returns (export "returns") (return))
  (func $br (export "br") (br 0))
  (func $br_if (export "br_if") (br_if 0 (i32.const 1)) unreachable)
  (func $br_table (export "br_table") (block (br_table 1 1 (i32.const 0))) unreachable)
  (func $gives (export "gives") (result i32) (i32.const 7))
  (func $unreachable (export "unreachable") unreachable)
  (func $divides (export "divides") (drop (i32.div_s (i32.const 1) (i32.const 0))))
  (func $loads (export "loads") (drop (i32.load (i32.const 70000))))
  (func $host_error (export "host_error") (call $fail))
  (func $exits (export "exits") (call $leave (i32.const 0)))
  (func $deep (export "deep") (param $n i32) (result i32)
    (if (result i32) (local.get $n)
      (then (i32.add (i32.const 1) (call $deep (i32.sub (local.get $n) (i32.const 1)))))
      (else (i32.const 0))))
  (func $deep_trap (export "deep_trap") (param $n i32)
    (if (local.get $n) (then (call $deep_trap (i32.sub (local.get $n) (i32.const 1)))) (else unreachable)))
  (func $endless (export "endless") (call $endless))
  (func $spins (export "spins") (loop (br 0))))]]

local function ways(session_options)
  return guest.open(ways_out, {
    session = session_options,
    imports = function(lunette)
      return { lunette.host("env", {
        fail = { function() error("it fails") end },
        leave = { params = { "i32" }, function(_, status) lunette.stop(status) end },
      }) }
    end,
  })
end

-- Counts the events of each kind; `open` says how many calls are without an end.
local function count(app, where)
  local seen = { before = 0, after = 0, abort = 0, kinds = {} }
  local pending = {}
  app.lunette.on(where, {
    before = function(call)
      seen.before = seen.before + 1
      pending[#pending + 1] = call.id
    end,
    after = function(call)
      seen.after = seen.after + 1
      assert(table.remove(pending) == call.id, "after of another call than the innermost")
    end,
    abort = function(call, err)
      seen.abort = seen.abort + 1
      seen.kinds[err.kind] = (seen.kinds[err.kind] or 0) + 1
      assert(table.remove(pending) == call.id, "abort of another call than the innermost")
    end,
  })
  function seen.open() return #pending end
  return seen
end

after_each(guest.close_all)

describe("R1 pairing", function()
  for _, name in ipairs({ "ends", "returns", "br", "br_if", "br_table" }) do
    it("gives after where a function " .. name, function()
      local app = ways()
      local events = hear(app, name)
      app.instance:invoke(name)
      assert.same({ "before " .. name, "after " .. name }, events)
    end)
  end

  it("gives after with the results", function()
    local app = ways()
    local events = hear(app, "gives")
    assert.equal(7, app.instance:invoke("gives"))
    assert.same({ "before gives", "after gives 7" }, events)
  end)

  for name, kind in pairs({ unreachable = "trap", divides = "trap", loads = "trap", host_error = "host", exits = "exit" }) do
    it("gives abort of kind " .. kind .. " where a function " .. name, function()
      local app = ways()
      local events = hear(app, name)
      assert.equal(kind, failure(app.instance.invoke, app.instance, name).kind)
      assert.same({ "before " .. name, "abort " .. name .. " " .. kind }, events)
    end)
  end

  for _, depth in ipairs({ 1, 30, 31, 1000 }) do
    it("holds at " .. depth .. " frames, for after and for abort", function()
      local app = ways()
      local seen = count(app, "deep*")
      assert.equal(depth, app.instance:invoke("deep", depth))
      assert.same({ depth + 1, depth + 1, 0, 0 }, { seen.before, seen.after, seen.abort, seen.open() })
      failure(app.instance.invoke, app.instance, "deep_trap", depth)
      assert.same({ 2 * depth + 2, depth + 1, depth + 1, 0 }, { seen.before, seen.after, seen.abort, seen.open() })
    end)
  end

  it("holds at the engine's limit", function()
    local app = ways({ stack = 1 << 20 })
    local seen = count(app, "endless")
    failure(app.instance.invoke, app.instance, "endless")
    assert.is_true(seen.before > 1000)
    assert.same({ seen.before, 0 }, { seen.abort, seen.open() })
  end)

  it("holds when a listener stops the run", function()
    local app = ways()
    local seen = count(app, "*")
    app.lunette.on("deep", function(_, n) if n == 3 then app.lunette.stop(4) end end)
    local err = failure(app.instance.invoke, app.instance, "deep", 10)
    assert.same({ "exit", 4 }, { err.kind, err.code })
    assert.same({ 0, seen.before, 0 }, { seen.after, seen.abort, seen.open() })
  end)

  it("holds when the instance is closed by a callback", function()
    local app = ways()
    local seen = count(app, "*")
    app.lunette.on("deep", function(_, n) if n == 3 then app.instance:close() end end)
    assert.equal("exit", failure(app.instance.invoke, app.instance, "deep", 10).kind)
    assert.same({ 0, seen.before, 0 }, { seen.after, seen.abort, seen.open() })
  end)
end)

describe("R1 pairing, and R15,", function()
  it("hold when the instance is closed while its calls are aborted", function()
    local app = guest.open([[(module
      (func $a (export "a") (call $b)) (func $b (call $c)) (func $c unreachable))]])
    local lines = {}
    app.lunette.on("*", { abort = function(call)
      app.instance:close()
      for _, frame in ipairs(call:stack()) do
        lines[#lines + 1] = ("%s %s %s"):format(call.name, frame.definition.name, frame.offset)
      end
    end })
    local err = failure(app.instance.invoke, app.instance, "a")
    assert.equal("trap", err.kind)
    local offsets = {}
    for _, frame in ipairs(err.stack) do offsets[frame.definition.name] = frame.offset end
    local wanted = {}
    for _, pair in ipairs({ "cc", "cb", "ca", "bb", "ba", "aa" }) do
      local from, frame = pair:sub(1, 1), pair:sub(2)
      wanted[#wanted + 1] = ("%s %s %s"):format(from, frame, offsets[frame])
    end
    assert.same(wanted, lines)
    assert.equal("usage", failure(app.instance.invoke, app.instance, "a").kind)
  end)
end)

describe("R2 call identity", function()
  it("is one id from before to after, increasing, with depth and parent", function()
    local app = ways()
    local list = {}
    local function note(call) list[#list + 1] = { call.id, call.depth, call.parent_id } end
    app.lunette.on("deep", { before = note, after = note })
    app.instance:invoke("deep", 2)
    local first = list[1][1]
    assert.same({
      { first, 0 }, { first + 1, 1, first }, { first + 2, 2, first + 1 },
      { first + 2, 2, first + 1 }, { first + 1, 1, first }, { first, 0 },
    }, list)
  end)

  it("names the nearest enclosing call that the same attachment heard as the parent", function()
    local app = guest.open([[(module
      (func $outer (export "outer") (call $between)) (func $between (call $inner)) (func $inner))]])
    local ids, parents = {}, {}
    app.lunette.on({ "outer", "inner" }, function(call) ids[call.name], parents[call.name] = call.id, call.parent_id end)
    app.lunette.on("between", function(call) parents.between = call.parent_id end)
    app.instance:invoke("outer")
    assert.same({ inner = ids.outer }, parents)
  end)

  it("has a data slot per call and attachment", function()
    local app = ways()
    local first, second = {}, {}
    local function keeper(list, prefix)
      return {
        before = function(call, n)
          assert.is_nil(call.data)
          call.data = prefix .. n
        end,
        after = function(call) list[#list + 1] = call.data end,
      }
    end
    app.lunette.on("deep", keeper(first, "a"))
    app.lunette.on("deep", keeper(second, "b"))
    app.instance:invoke("deep", 2)
    app.instance:invoke("deep", 0)
    assert.same({ "a0", "a1", "a2", "a0" }, first)
    assert.same({ "b0", "b1", "b2", "b0" }, second)
  end)

  it("keeps the data to abort", function()
    local app = ways()
    local seen
    app.lunette.on("unreachable", {
      before = function(call) call.data = { 1 } end,
      abort = function(call) seen = call.data end,
    })
    failure(app.instance.invoke, app.instance, "unreachable")
    assert.same({ 1 }, seen)
  end)
end)

describe("R3 exhaustion comes first", function()
  it("gives the refused call no event and every open one abort", function()
    local app = ways({ stack = 1 << 20 })
    local seen = count(app, "endless")
    local err = failure(app.instance.invoke, app.instance, "endless")
    assert.equal("exhausted", err.kind)
    assert.same({ exhausted = seen.before }, seen.kinds)
  end)

  it("exhausts a traced run at the same call as an untraced one", function()
    local text = [[(module (global $n (export "n") (mut i32) (i32.const 0))
      (func $f (export "f") (global.set $n (i32.add (global.get $n) (i32.const 1))) (call $f)))]]
    local options = { session = { stack = 1 << 20 } }
    local plain, traced = guest.open(text, options), guest.open(text, options)
    local seen = count(traced, "f")
    failure(plain.instance.invoke, plain.instance, "f")
    failure(traced.instance.invoke, traced.instance, "f")
    assert.equal(plain.instance:global("n").value, traced.instance:global("n").value)
    assert.equal(seen.before, traced.instance:global("n").value)
  end)
end)

describe("R4 abort", function()
  it("runs from the innermost to the outermost, before the error reaches the caller", function()
    local app = guest.open([[(module
      (func $a (export "a") (call $b)) (func $b (call $c)) (func $c unreachable))]])
    local events = hear(app, "*")
    failure(app.instance.invoke, app.instance, "a")
    assert.same({ "before a", "before b", "before c", "abort c trap", "abort b trap", "abort a trap" }, events)
  end)

  it("tells kind, code, message and stack, the same for all", function()
    local app = guest.open('(module (func $a (export "a") (call $b)) (func $b (drop (i32.div_u (i32.const 1) (i32.const 0)))))')
    local errors = {}
    app.lunette.on("*", { abort = function(_, err) errors[#errors + 1] = err end })
    local err = failure(app.instance.invoke, app.instance, "a")
    assert.equal(2, #errors)
    assert.is_true(rawequal(errors[1], errors[2]) and rawequal(errors[1], err))
    assert.same({ "trap", "integer divide by zero" }, { err.kind, err.code })
    assert.is_truthy(err.message:find("divide by zero", 1, true))
    assert.is_nil(err.message:find("\n"))
    assert.equal(2, #err.stack)
    assert.same({ "b", "a" }, { err.stack[1].definition.name, err.stack[2].definition.name })
    assert.equal("trap: " .. err.message, tostring(err))
  end)

  it("keeps the innermost 10,000 and the outermost 1,000 frames of a deep stack", function()
    local app = ways()
    local err = failure(app.instance.invoke, app.instance, "deep_trap", 19999)
    assert.equal(11000, #err.stack)
    assert.equal(9000, err.stack.omitted)
    assert.is_truthy(tostring(err.stack):find("9000 frames omitted", 1, true))
  end)

  it("of lunette.stop is kind exit with its status", function()
    local app = ways()
    local kinds = {}
    app.lunette.on("returns", { before = function() app.lunette.stop(300) end,
      abort = function(_, err) kinds[#kinds + 1] = { err.kind, err.code } end })
    local err = failure(app.instance.invoke, app.instance, "returns")
    assert.same({ { "exit", 300 } }, kinds)
    assert.same({ "exit", 300 }, { err.kind, err.code })
  end)
end)

describe("R5 exit", function()
  it("aborts the host function and all callers, with code 0 too", function()
    local app = ways()
    local events = hear(app, { "exits", "host:*leave" })
    local err = failure(app.instance.invoke, app.instance, "exits")
    assert.same({ "exit", 0 }, { err.kind, err.code })
    assert.equal("before exits", events[1])
    assert.equal("abort exits exit", events[#events])
    for _, event in ipairs(events) do assert.is_nil(event:match("^after exits")) end
  end)

  it("gives no events to a call that is refused before it starts", function()
    local app = ways()
    local events = hear(app, "*")
    assert.is_truthy(failure(app.instance.invoke, app.instance, "deep"):find("takes 1", 1, true))
    assert.is_truthy(failure(app.instance.invoke, app.instance, "deep", "x"):find("must be i32", 1, true))
    app.instance:close()
    assert.equal("usage", failure(app.instance.invoke, app.instance, "returns").kind)
    assert.same({}, events)
  end)
end)

describe("R6 order", function()
  local function app_with_names(...)
    local app, list = ways(), {}
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
    local app, list = ways(), {}
    for _, name in ipairs({ "a", "b" }) do
      app.lunette.on("unreachable", { abort = function() list[#list + 1] = name end })
    end
    failure(app.instance.invoke, app.instance, "unreachable")
    assert.same({ "b", "a" }, list)
  end)

  it("tells the factories of a multi in the order given, all three events alike", function()
    local app, list = ways(), {}
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
    local app, list = ways(), {}
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
    local app, list = ways(), {}
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
    local app = ways()
    local events, attachment
    events, attachment = hear(app, "deep")
    app.lunette.on("deep", function(_, n) if n == 1 then attachment:detach() end end)
    app.instance:invoke("deep", 2)
    assert.same({ "before deep 2", "before deep 1", "after deep 1", "after deep 2" }, events)
  end)

  it("gives it none with drop", function()
    local app = ways()
    local events, attachment
    events, attachment = hear(app, "deep")
    app.lunette.on("deep", function(_, n) if n == 1 then attachment:detach({ drop = true }) end end)
    app.instance:invoke("deep", 2)
    assert.same({ "before deep 2", "before deep 1" }, events)
  end)

  it("may be asked for by its own callback, any number of times", function()
    local app = ways()
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
    local app = ways()
    local events = {}
    local once = app.lunette.on("deep", function(_, n) if n == 2 then hear(app, "deep", nil, events) end end)
    app.instance:invoke("deep", 3)
    once:detach()
    assert.same({ "before deep 1", "before deep 0", "after deep 0", "after deep 1" }, events)
  end)

  it("keeps the data and the objects of what is open", function()
    local app = ways()
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
    local app = ways()
    local calls = 0
    app.lunette.on("gives", function() calls = calls + 1 end)
    collectgarbage()
    collectgarbage()
    app.instance:invoke("gives")
    assert.equal(1, calls)
  end)

  it("can be paused instead: calls open then still get their after", function()
    local app = ways()
    local events, attachment
    events, attachment = hear(app, "deep")
    app.lunette.on("deep", function(_, n) if n == 1 then attachment:pause() end end)
    app.instance:invoke("deep", 2)
    attachment:resume()
    app.instance:invoke("deep", 0)
    assert.same({ "before deep 2", "before deep 1", "after deep 1", "after deep 2", "before deep 0", "after deep 0" }, events)
  end)

  it("is no parent of calls while it is paused", function()
    local app = ways()
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
    local app = ways()
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
    local app = ways()
    local attachment = app.lunette.factory(function(definition) return definition.name == "gives" and function() end end)
    assert.equal(1, attachment.functions)
    app.instance:invoke("returns")
    assert.equal(0, attachment.calls)
  end)

  it("may answer the same listener for many definitions, which is then one", function()
    local app = ways()
    local listener = { before = function() error("no") end }
    local attachment = app.lunette.factory(function() return listener end)
    app.instance:invoke("gives")
    app.instance:invoke("returns")
    assert.same({ 1, 1, 1 }, { attachment.errors, attachment.muted, #app.messages })
  end)

  it("is held to its answers, by file, line and function", function()
    local app = ways()
    local err = failure(app.lunette.factory, function(definition) return definition.name == "gives" and 7 end)
    assert.is_truthy(err:match("rules_spec.lua:%d+: factory must return a listener or nil, got number %(for gives, #7%)"), err)
    app.instance:invoke("gives")
  end)

  it("may raise: nothing is attached", function()
    local app = ways()
    local err = failure(app.lunette.factory, function() error("not now") end)
    assert.is_truthy(err:match("rules_spec.lua:%d+: not now"), err)
  end)

  it("shares nothing between instances of the same bytes", function()
    local app = ways()
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
    local app = ways()
    local calls = 0
    local attachment = app.lunette.on("gives", function()
      calls = calls + 1
      error("oops")
    end)
    assert.equal(7, app.instance:invoke("gives"))
    assert.equal(7, app.instance:invoke("gives"))
    assert.equal(1, calls)
    assert.equal(1, #app.messages)
    assert.is_truthy(app.messages[1]:match("^[^\n]*rules_spec.lua:%d+: oops\nstack traceback:\n"), app.messages[1])
    assert.same({ 1, 1 }, { attachment.errors, attachment.muted })
  end)

  it("counts where the listener detached itself before", function()
    local app = ways()
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
      local app = ways()
      app.lunette.on("gives", function() error(value) end)
      app.instance:invoke("gives")
      assert.equal(text, app.messages[1]:sub(1, #text))
    end
  end)

  it("in before counts as not delivered: neither after nor abort follows", function()
    for _, name in ipairs({ "gives", "unreachable" }) do
      local app = ways()
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
    local app = ways()
    local after = {}
    app.lunette.on("deep", {
      before = function(_, n) if n == 0 then error("no") end end,
      after = function(_, n) after[#after + 1] = n end,
    })
    app.instance:invoke("deep", 3)
    assert.same({ 1, 2, 3 }, after)
  end)

  it("does not keep other listeners from the event", function()
    local app = ways()
    app.lunette.on("gives", function() error("no") end)
    local events = hear(app, "gives")
    app.instance:invoke("gives")
    assert.same({ "before gives", "after gives 7" }, events)
  end)

  it("in after leaves the result, in abort the first error", function()
    local app = ways()
    app.lunette.on("*", { after = function() error("after fails") end, abort = function() error("abort fails") end })
    assert.equal(7, app.instance:invoke("gives"))
    local err = failure(app.instance.invoke, app.instance, "unreachable")
    assert.same({ "trap", "unreachable" }, { err.kind, err.code })
  end)

  it("of a yield is an error, too", function()
    local app = ways()
    app.lunette.on("gives", function() coroutine.yield() end)
    local routine = coroutine.wrap(function() return app.instance:invoke("gives") end)
    assert.equal(7, routine())
    assert.is_truthy(app.messages[1]:find("yield", 1, true))
  end)

  it("of a value that is no text is told all the same", function()
    local app = ways()
    app.lunette.on("gives", function() error(setmetatable({}, { __tostring = function() return "a table" end })) end)
    app.lunette.on("gives", function() error() end)
    app.instance:invoke("gives")
    assert.equal(2, #app.messages)
    assert.is_truthy(app.messages[1]:find("a table", 1, true) or app.messages[2]:find("a table", 1, true))
  end)

  it("stops the run with on_error=stop, after the event was delivered to all", function()
    local app = ways()
    local seen = count(app, "deep")
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
    local app = ways()
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
    local app = ways()
    app.lunette.on("gives", function()
      local function f() return 1 + f() end
      f()
    end)
    assert.equal(7, app.instance:invoke("gives"))
    assert.is_truthy(app.messages[1]:find("stack overflow", 1, true))
  end)
end)

describe("R10 values", function()
  local function echo(kind)
    return guest.open(('(module (func $f (export "f") (param %s) (result %s) (local.get 0)))'):format(kind, kind))
  end

  local function round_trip(kind, value, bits)
    local app = echo(kind)
    local seen = {}
    app.lunette.on("f", {
      before = function(call, ...) seen[#seen + 1] = { ..., call:bits(1), n = select("#", ...) } end,
      after = function(call, ...) seen[#seen + 1] = { ..., call:bits(1), n = select("#", ...) } end,
    })
    local result = app.instance:invoke("f", value)
    return result, seen, bits
  end

  it("are signed integers for i32 and i64", function()
    for kind, pairs_of in pairs({
      i32 = { { -1, -1, 0xffffffff }, { 0x80000000, -0x80000000, 0x80000000 }, { 5, 5, 5 } },
      i64 = { { -1, -1, -1 }, { math.mininteger, math.mininteger, math.mininteger }, { 7, 7, 7 } },
    }) do
      for _, case in ipairs(pairs_of) do
        local result, seen = round_trip(kind, case[1])
        assert.equal(case[2], result)
        assert.same({ { case[2], case[3], n = 1 }, { case[2], case[3], n = 1 } }, seen)
        assert.equal("integer", math.type(seen[1][1]))
      end
    end
  end)

  it("are floats for f32 and f64", function()
    local _, seen = round_trip("f32", 1.5)
    assert.same({ { 1.5, 0x3fc00000, n = 1 }, { 1.5, 0x3fc00000, n = 1 } }, seen)
    _, seen = round_trip("f64", 3)
    assert.same({ { 3.0, 0x4008000000000000, n = 1 }, { 3.0, 0x4008000000000000, n = 1 } }, seen)
    assert.equal("float", math.type(seen[1][1]))
  end)

  it("keep the payload of a NaN in their bits", function()
    local app = echo("f32")
    local bits
    app.lunette.on("f", { before = function(call) bits = call:bits(1) end })
    local f = app.instance.exports.f
    assert.equal(0x7fa12345, f:invoke_bits(0x7fa12345))
    assert.equal(0x7fa12345, bits)
  end)

  it("of a double that is no float are rounded, and its NaN stays one", function()
    local app = echo("f32")
    local nan = string.unpack("<d", string.pack("<I8", 0x7ff0000000000001))
    local bits = {}
    app.lunette.on("f", { before = function(call) bits[#bits + 1] = call:bits(1) end })
    for _, value in ipairs({ 0.1, 1e300, -1e-300, 0 / 0, nan }) do app.instance:invoke("f", value) end
    bits[4] = bits[4] & 0x7fffffff -- which sign 0/0 has is the processor's
    assert.same({ 0x3dcccccd, 0x7f800000, 0x80000000, 0x7fc00000, 0x7fc00000 }, bits)
  end)

  it("are unsigned on request", function()
    local app = echo("i32")
    local seen
    app.lunette.on("f", function(call) seen = { call:param(1), call:uparam(1) } end)
    app.instance:invoke("f", -2)
    assert.same({ -2, 0xfffffffe }, seen)
  end)

  it("come with exactly the count of the signature", function()
    local app = guest.open([[(module
      (func (export "f") (param i32 i64 f64) (result i64 i32) (local.get 1) (local.get 0)))]])
    local seen = {}
    app.lunette.on("f", {
      before = function(_, ...) seen[#seen + 1] = table.pack(...) end,
      after = function(_, ...) seen[#seen + 1] = table.pack(...) end,
    })
    assert.same({ 2, 1 }, { app.instance:invoke("f", 1, 2, 3) })
    assert.same({ { 1, 2, 3.0, n = 3 }, { 2, 1, n = 2 } }, seen)
  end)

  it("are function objects or nil for funcref", function()
    local app = guest.open([[(module (table (export "t") 2 funcref) (elem (i32.const 0) $g)
      (func $g (export "g"))
      (func $f (export "f") (param i32) (result funcref) (table.get 0 (local.get 0)))
      (func $h (export "h") (param funcref) (result i32) (ref.is_null (local.get 0))))]])
    local seen = {}
    app.lunette.on("f", { after = function(_, ...) seen[#seen + 1] = table.pack(...) end })
    app.lunette.on("h", function(_, ...) seen[#seen + 1] = table.pack(...) end)
    local g = app.instance:invoke("f", 0)
    assert.is_true(g == app.instance.exports.g)
    assert.is_nil(app.instance:invoke("f", 1))
    assert.same({ 0, 1 }, { app.instance:invoke("h", g), app.instance:invoke("h", nil) })
    assert.same({ { g, n = 1 }, { nil, n = 1 }, { g, n = 1 }, { nil, n = 1 } }, seen)
    assert.is_true(app.instance:table("t")[0] == g)
  end)

  it("are the host's own for externref", function()
    local app = guest.open('(module (func $f (export "f") (param externref) (result externref) (local.get 0)))')
    local seen = {}
    app.lunette.on("f", function(_, value) seen[#seen + 1] = value end)
    local value = { "any" }
    assert.is_true(rawequal(value, app.instance:invoke("f", value)))
    assert.is_true(rawequal(value, seen[1]))
    assert.is_nil(app.instance:invoke("f", nil))
    assert.equal("text", app.instance:invoke("f", "text"))
    assert.equal(false, app.instance:invoke("f", false))
  end)
end)

describe("R11 read-only", function()
  it("gives the params as they were to those who asked, in after and abort", function()
    local app = guest.open([[(module
      (func $f (export "f") (param i32 f64) (result i32)
        (local.set 0 (i32.const 9)) (local.get 0))
      (func $g (export "g") (param $x i32) (local.set $x (i32.const 9)) unreachable))]])
    local seen = {}
    app.lunette.on("f", { after = function(call) seen[#seen + 1] = table.pack(call:params()) end }, { params = true })
    app.lunette.on("g", { abort = function(call) seen[#seen + 1] = call:param("x") end }, { params = true })
    assert.equal(9, app.instance:invoke("f", 4, 0.5))
    failure(app.instance.invoke, app.instance, "g", 3)
    assert.same({ { 4, 0.5, n = 2 }, 3 }, seen)
  end)

  it("refuses them to those who did not", function()
    local app = guest.open('(module (func (export "f") (param i32)))')
    local problem
    app.lunette.on("f", { after = function(call) problem = failure(call.params, call) end })
    app.instance:invoke("f", 1)
    assert.is_truthy(problem:find("params=true", 1, true))
  end)

  it("shows the present values in frames further out, and whether they are exact", function()
    local app = guest.open([[(module
      (func $outer (export "outer") (param i32) (local.set 0 (i32.const 8)) (call $inner (i32.const 1)))
      (func $plain (export "plain") (param i32) (call $inner (i32.const 1)))
      (func $inner (param i32)))]])
    local seen = {}
    app.lunette.on("inner", function(call)
      local frame = call:stack()[2]
      seen[#seen + 1] = { frame.definition.name, frame:params(), frame.exact }
    end)
    app.instance:invoke("outer", 3)
    app.instance:invoke("plain", 3)
    assert.same({ { "outer", 8, false }, { "plain", 3, true } }, seen)
  end)

  it("says of each param in frames further out whether it is exact, also where a stack is printed", function()
    local app = guest.open([[(module
      (func $outer (export "outer") (param $a i32) (param $b i32) (param v128 f64)
        (local.set $b (i32.const 8)) (call $inner (i32.const 1)))
      (func $inner (param i32) (if (i32.eqz (local.get 0)) (then unreachable))
        (call $last (local.get 0)))
      (func $last (export "last") (param i32) (local.set 0 (i32.const 0)) unreachable))]])
    local exact, printed, late
    app.lunette.on("inner", { before = function(call)
      local frame = call:stack()[2]
      exact = { frame:is_exact("a"), frame:is_exact("b"), frame:is_exact(3), frame:is_exact(4) }
      printed = tostring(call:stack())
      late = frame
    end })
    local err = failure(app.instance.invoke, app.instance, "outer", 3, 4, ("\1"):rep(16), 1.5)
    assert.same({ true, false, true, true }, exact)
    local values = "a=3, now b=8, 0x01010101010101010101010101010101, 1.5"
    assert.matches("^#0  inner%(1%) %(app%) 0x%x+\n#1  outer%(" .. values .. "%) %(app%) 0x%x+$", printed)
    assert.matches("^#0  last%(now 0%) %(app%) 0x%x+\n#1  inner%(1%) %(app%) 0x%x+\n#2  outer%(" .. values
      .. "%) %(app%) 0x%x+$", tostring(err.stack))
    assert.is_nil(late:is_exact(1))
    assert.is_truthy(failure(late.is_exact, late, 5):find("outer has 4 params, there is no number 5", 1, true))
  end)

  it("refuses to write guest memory, globals and tables in a listener", function()
    local app = guest.open([[(module (memory (export "m") 1) (global (export "g") (mut i32) (i32.const 1))
      (table (export "t") 1 funcref) (func (export "f")))]])
    local problems = {}
    app.lunette.on("f", function(call)
      problems[1] = failure(call.memory.write, call.memory, 0, "x")
      problems[2] = failure(function() call.instance:global("g").value = 2 end)
      problems[3] = failure(function() call.instance:table("t")[0] = nil end)
    end)
    app.instance:invoke("f")
    for i = 1, 3 do assert.is_truthy(problems[i]:find("listeners observe", 1, true), problems[i]) end
    assert.equal(1, app.instance:global("g").value)
  end)

  it("lets a listener of an unsafe session write guest memory, globals and tables", function()
    local app = guest.open([[(module (memory (export "m") 1) (global (export "g") (mut i32) (i32.const 1))
      (table (export "t") 1 funcref) (elem (i32.const 0) $f)
      (func $f (export "f") (result i32) (i32.add (i32.load8_u (i32.const 0)) (global.get 0))))]],
      { session = { unsafe = true } })
    app.lunette.on("f", function(call)
      call.memory:write(0, "A")
      call.instance:global("g").value = 2
      call.instance:table("t")[0] = nil
    end)
    assert.equal(67, app.instance:invoke("f"))
    assert.is_nil(app.instance:table("t")[0])
  end)
end)

describe("R12 the stack", function()
  local chain = [[(module
    (import "env" "again" (func $again (param i32)))
    (func $a (export "a") (param i32) (call $b (local.get 0)))
    (func $b (param i32) (call $c (local.get 0)))
    (func $c (export "c") (param i32) (if (local.get 0) (then (call $again (i32.sub (local.get 0) (i32.const 1)))))))]]

  local function nested()
    local app
    app = guest.open(chain, { imports = function(lunette)
      return { lunette.host("env", { again = { params = { "i32" }, function(_, n) app.instance:invoke("a", n) end } }) }
    end })
    return app
  end

  local function names(stack)
    local list = {}
    for i, frame in ipairs(stack) do list[i] = frame.definition.name end
    return table.concat(list, " ")
  end

  it("goes from the call to the outermost entry, through host frames and re-entries", function()
    local app = nested()
    local seen, reentries = {}, {}
    app.lunette.on("c", function(call)
      local stack = call:stack()
      seen[#seen + 1] = names(stack)
      assert.equal(#stack, call.depth + 1)
      local marks = {}
      for i, frame in ipairs(stack) do if frame.reentry then marks[#marks + 1] = i end end
      reentries[#reentries + 1] = marks
    end)
    app.instance:invoke("a", 1)
    assert.same({ "c b a", "c b a again c b a" }, seen)
    assert.same({ { 3 }, { 3, 7 } }, reentries)
  end)

  it("has a cursor of its own in each listener, restartable", function()
    local app = nested()
    local seen = {}
    app.lunette.on("c", function(call)
      local one, two = call:stack(), call:stack()
      seen[#seen + 1] = one[1].definition.name .. two[2].definition.name .. one[3].definition.name .. one[1].definition.name
      seen[#seen + 1] = tostring(one[4])
    end)
    app.lunette.on("c", function(call) seen[#seen + 1] = names(call:stack()) end)
    app.instance:invoke("a", 0)
    assert.same({ "cbac", "nil", "c b a" }, seen)
  end)

  it("is stale when its callback is over, and says so", function()
    local app = nested()
    local stack, frame, call_kept
    app.lunette.on("c", function(call)
      stack, call_kept = call:stack(), call
      frame = stack[2]
      assert.equal(0, frame:params())
    end)
    app.instance:invoke("a", 0)
    for _, use in ipairs({
      function() return #stack end, function() return stack[1] end, function() return frame:params() end,
    }) do assert.is_truthy(failure(use):find("stale frame", 1, true)) end
    assert.equal("stack (stale)", tostring(stack))
    assert.is_truthy(failure(function() return call_kept.id end):find("stale call", 1, true))
    assert.equal("b", frame.definition.name)
    app.instance:invoke("a", 0)
  end)

  it("can be kept as a snapshot for ever, also after the instance is closed", function()
    local app = nested()
    local snapshot
    app.lunette.on("c", function(call) snapshot = call:snapshot() end)
    app.instance:invoke("a", 0)
    app.instance:close()
    collectgarbage()
    assert.equal("c b a", names(snapshot))
    assert.equal(3, #snapshot)
    assert.equal(0, snapshot.omitted)
    assert.is_truthy(failure(function() return snapshot[2]:params() end):find("stale frame", 1, true))
    local printed = tostring(snapshot)
    assert.is_truthy(printed:match("^#0  c %(app%) 0x%x+\n#1  b %(app%) 0x%x+\n#2  a %(app%) 0x%x+$"), printed)
  end)

  it("has the right values in a walk from within nested callbacks", function()
    local app = nested()
    local seen = {}
    app.lunette.on("c", function(call, n)
      local stack = call:stack()
      local first = stack[1]
      if n > 0 then app.instance:invoke("a", 0) end
      seen[#seen + 1] = { n, names(stack), first:params() }
    end, { reentrant = true })
    app.instance:invoke("c", 1)
    assert.same({ 0, "c b a c", 0 }, seen[1])
    assert.same({ 1, "c", 1 }, seen[2])
  end)
end)

describe("R13 cost", function()
  it("of a listener without after is no entry into Lua at the call's end", function()
    local app = ways()
    local events = 0
    app.lunette.on("gives", { before = function() events = events + 1 end })
    app.instance:invoke("gives")
    assert.equal(1, events)
  end)

  it("is no memory per event for numbers", function()
    local app = ways()
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

describe("R14 source offsets", function()
  it("are of the call instruction, of the body's first instruction in before, of the trapping one in abort", function()
    local app = guest.open([[(module
      (import "env" "h" (func $h))
      (func $outer (export "outer") nop nop (call $inner))
      (func $inner (local i32) nop (call $h) unreachable))]], {
      imports = function() return { env = { h = { function() end } } } end,
    })
    local seen = {}
    app.lunette.on("inner", {
      before = function(call) seen.before = { call:stack()[1].offset, call:stack()[2].offset } end,
      abort = function(call) seen.abort = { call:stack()[1].offset } end,
    })
    app.lunette.on("h", function(call)
      local stack = call:stack()
      seen.host = { stack[1].offset or "none", stack[1].file_offset or "none", stack[2].offset, stack[2].file_offset }
    end)
    local err = failure(app.instance.invoke, app.instance, "outer")
    local outer, inner = app.module:functions("outer")[1], app.module:functions("inner")[1]
    -- outer: no locals, nop, nop, call at 3; inner: one group of locals, nop at 3, call at 4, unreachable at 6
    assert.same({ inner.offset + 3, outer.offset + 3 }, seen.before)
    assert.same({ inner.offset + 6 }, seen.abort)
    assert.same({ "none", "none", inner.offset + 4, err.stack[1].file_offset - 2 }, seen.host)
    assert.equal(inner.offset + 6, err.stack[1].offset)
    assert.is_true(err.stack[1].file_offset > err.stack[1].offset)
  end)
end)

describe("R15 identity of instances", function()
  it("is the callee's in all events, the importing one for a host function, and the caller is a frame", function()
    local session = guest.session()
    local wat = require("spec.support.wat")
    local library = session.instantiate(session.module(wat('(module $lib (func (export "f")))')), { name = "library" })
    local seen = {}
    local user = session.instantiate(session.module(wat([[(module $user (import "library" "f" (func $lf))
      (import "env" "h" (func $h)) (func $main (export "main") (call $lf) (call $h)))]])),
      { name = "user", imports = { library = library, env = { h = { function(call) seen[#seen + 1] = call.instance end } } } })
    session.on("*", {
      before = function(call) seen[#seen + 1] = { call.name, call.instance, call.caller and call.caller.instance or false } end,
      after = function(call) seen[#seen + 1] = { call.instance, call.caller and call.caller.definition.name or false } end,
    })
    user:invoke("main")
    assert.is_true(seen[1][2] == user and seen[1][3] == false)
    assert.is_true(seen[2][2] == library and seen[2][3] == user)
    assert.is_true(seen[3][1] == library and seen[3][2] == "main")
    assert.is_true(seen[4][2] == user and seen[4][3] == user)
    assert.is_true(seen[5] == user)
    assert.is_true(seen[#seen][1] == user and seen[#seen][2] == false)
  end)

  it("is shown by the instance's name", function()
    local app = guest.open('(module $inside (func $f (export "f") unreachable))', { name = "outside" })
    local err = failure(app.instance.invoke, app.instance, "f")
    assert.is_truthy(tostring(err.stack):find("#0  f (outside)", 1, true), tostring(err.stack))
  end)
end)

describe("R15 a stack", function()
  it("is one line a frame, whatever the names hold", function()
    local app = guest.open('(module (func (export "a\\0ab\\7f") unreachable))', { name = "one\ntwo" })
    local err = failure(app.instance.invoke, app.instance, "a\nb\127")
    assert.is_truthy(tostring(err.stack):match("^#0  a\\x0ab\\x7f %(one\\x0atwo%) 0x%x+$"), tostring(err.stack))
  end)
end)

describe("R16 a host function", function()
  local text = [[(module (import "env" "h" (func $h (param i32) (result i32)))
    (func $f (export "f") (param i32) (result i32) (call $h (local.get 0)))
    (func $bad (export "bad") unreachable))]]

  local function with(callback)
    local app
    app = guest.open(text, { imports = function(lunette)
      return { lunette.host("env", { h = { params = { "i32" }, results = { "i32" }, param_names = { "value" },
        function(...) return callback(app, ...) end } }) }
    end })
    return app
  end

  it("gets the same events and stands in the stack", function()
    local app = with(function(_, call, n)
      assert.is_true(call.is_host)
      assert.equal(n, call:param("value"))
      assert.equal(1, call.depth)
      return n + 1
    end)
    local events = hear(app, "*")
    local is_host
    app.lunette.on("h", function(call) is_host = call:stack()[1].is_host and call.definition.is_host end)
    assert.equal(6, app.instance:invoke("f", 5))
    assert.same({ "before f 5", "before h 5", "after h 6", "after f 6" }, events)
    assert.is_true(is_host)
  end)

  it("that raises has kind host, with the value kept", function()
    local value = { "a value" }
    local app = with(function() error(value) end)
    local events = hear(app, "*")
    local err = failure(app.instance.invoke, app.instance, "f", 1)
    assert.equal("host", err.kind)
    assert.is_true(rawequal(value, err.value))
    assert.same({ "before f 1", "before h 1", "abort h host", "abort f host" }, events)
    assert.equal(2, #err.stack)
  end)

  it("keeps the first value where that one's __tostring raises, too", function()
    local value = setmetatable({}, { __tostring = function() error("second") end })
    local app = with(function() error(value) end)
    local err = failure(app.instance.invoke, app.instance, "f", 1)
    assert.is_true(rawequal(value, err.value))
    assert.same({ "host", "a table was raised, whose __tostring fails" }, { err.kind, err.message })
  end)

  it("tells place and traceback of its error", function()
    local app = with(function() error("bad thing") end)
    local err = failure(app.instance.invoke, app.instance, "f", 1)
    assert.is_truthy(err.message:match("rules_spec.lua:%d+: bad thing$"), err.message)
    assert.equal(err.message, err.value)
    assert.is_truthy(err.detail:find("stack traceback", 1, true))
  end)

  it("that catches a nested failure makes the nested frames abort and ends with after itself", function()
    local app = with(function(app)
      local good, err = pcall(app.instance.invoke, app.instance, "bad")
      assert(not good and err.kind == "trap")
      return 3
    end)
    local events = hear(app, "*")
    assert.equal(3, app.instance:invoke("f", 1))
    assert.same({ "before f 1", "before h 1", "before bad", "abort bad trap", "after h 3", "after f 3" }, events)
  end)

  it("that lets a nested failure through hands on its kind and stack", function()
    local app = with(function(app) return app.instance:invoke("bad") end)
    local events = hear(app, "*")
    local err = failure(app.instance.invoke, app.instance, "f", 1)
    assert.same({ "trap", "unreachable" }, { err.kind, err.code })
    assert.same({ "before f 1", "before h 1", "before bad", "abort bad trap", "abort h trap", "abort f trap" }, events)
    assert.equal("bad", err.stack[1].definition.name)
    assert.equal(3, #err.stack)
  end)

  it("is held to its results", function()
    for _, results in ipairs({ {}, { "x" }, { 1.5 }, { 1, 2 }, { 1 << 40 } }) do
      local app = with(function() return table.unpack(results) end)
      local err = failure(app.instance.invoke, app.instance, "f", 1)
      assert.equal("host", err.kind)
      assert.is_truthy(err.message:find("host function h", 1, true), err.message)
    end
  end)

  it("may write guest memory", function()
    local app = guest.open([[(module (import "env" "fill" (func $fill (param i32))) (memory 1)
      (func (export "f") (result i32) (call $fill (i32.const 8)) (i32.load (i32.const 8))))]], {
      imports = function() return { env = { fill = { params = { "i32" },
        function(call, address) call.memory:write(address, "\1\2\3\4") end } } } end,
    })
    assert.equal(0x04030201, app.instance:invoke("f"))
  end)
end)

describe("R17 re-entrancy", function()
  local text = [[(module
    (import "env" "call_back" (func $call_back (param i32)))
    (func $outer (export "outer") (param i32) (call $call_back (local.get 0)))
    (func $inner (export "inner") (param i32)))]]

  local function app_of()
    local app
    app = guest.open(text, { imports = function(lunette)
      return { lunette.host("env", { call_back = { params = { "i32" }, function(_, n) app.instance:invoke("inner", n) end } }) }
    end })
    return app
  end

  it("continues depth and parents in guest code that a host function calls", function()
    local app = app_of()
    local depths, parent, id = {}, nil, nil
    app.lunette.on({ "outer", "inner" }, function(call)
      depths[#depths + 1] = call.depth
      if call.name == "outer" then id = call.id else parent = call.parent_id end
    end)
    app.instance:invoke("outer", 1)
    assert.same({ 0, 2 }, depths)
    assert.equal(id, parent)
  end)

  it("does not report the calls of a callback to its own attachment, but to others", function()
    local app = app_of()
    local own, others = {}, {}
    app.lunette.on("*", function(call, n)
      own[#own + 1] = call.name
      if call.name == "outer" then app.instance:invoke("inner", n) end
    end)
    app.lunette.on("inner", function(_, n) others[#others + 1] = n end)
    app.instance:invoke("outer", 1)
    assert.same({ "outer", "call_back", "inner" }, own)
    assert.same({ 1, 1 }, others)
  end)

  it("reports them to one that says reentrant", function()
    local app = app_of()
    local seen = {}
    app.lunette.on({ "outer", "inner" }, function(call, n)
      if call.name == "outer" then app.instance:invoke("inner", n + 1) end
      seen[#seen + 1] = { call.name, n, call:param(1), call.depth }
    end, { reentrant = true })
    app.instance:invoke("outer", 5)
    assert.same({ { "inner", 6, 6, 1 }, { "outer", 5, 5, 0 }, { "inner", 5, 5, 2 } }, seen)
  end)

  it("nests 190 runs through Lua, and ends with exhausted, not with a crash", function()
    local app
    local deepest = 0
    app = guest.open(text, { imports = function(lunette)
      return { lunette.host("env", { call_back = { params = { "i32" }, function(_, n)
        deepest = math.max(deepest, n)
        app.instance:invoke("outer", n + 1)
      end } }) }
    end })
    local err = failure(app.instance.invoke, app.instance, "outer", 1)
    assert.equal("exhausted", err.kind)
    assert.equal(200, deepest)
  end)

  it("works from coroutines, on callbacks' own threads", function()
    local app = app_of()
    local seen = {}
    app.lunette.on("inner", function(_, n) seen[#seen + 1] = n end)
    local routine = coroutine.wrap(function()
      app.instance:invoke("outer", 1)
      coroutine.yield()
      app.instance:invoke("outer", 2)
    end)
    routine()
    routine()
    assert.same({ 1, 2 }, seen)
  end)
end)

describe("R19 entries", function()
  it("say how the host came in", function()
    local seen = {}
    local session = guest.session()
    session.factory(function()
      return { before = function(call) seen[#seen + 1] = { call.name, call.entry or false } end }
    end)
    local wat = require("spec.support.wat")
    local instance = session.instantiate(session.module(wat([[(module (start $begin) (table (export "t") 1 funcref)
      (elem (i32.const 0) $hidden)
      (func $begin (call $helper)) (func $helper) (func $hidden) (func $shown (export "shown")))]])))
    instance:invoke("shown")
    instance:table("t")[0]:invoke()
    assert.same({ { "begin", "start" }, { "helper", false }, { "shown", "export" }, { "hidden", "function" } }, seen)
  end)

  it("abort where the start function traps, and no instance is made", function()
    local session = guest.session()
    local kinds = {}
    session.on("*", { abort = function(call, err) kinds[#kinds + 1] = call.name .. " " .. err.kind end })
    local wat = require("spec.support.wat")
    local module = session.module(wat("(module (start $begin) (func $begin unreachable))"))
    assert.equal("trap", failure(session.instantiate, module).kind)
    assert.same({ "begin trap" }, kinds)
    assert.same({}, session.instances)
  end)
end)

describe("R22 frame lists and bench", function()
  local lunette = require("lunette")

  it("make a stack to test a listener with", function()
    local stack = lunette.stack({
      { name = "f", module = "app", offset = 16, params = { 1, 2 } },
      { name = "g", is_host = true },
    })
    assert.equal(2, #stack)
    assert.same({ 1, 2 }, { stack[1]:params() })
    assert.equal("#0  f(1, 2) (app) 0x10\n#1  g (host)", tostring(stack))
    local names = {}
    for i, frame in ipairs(stack) do names[i] = frame.definition.name end
    assert.same({ "f", "g" }, names)
    assert.equal(0, stack.omitted)
  end)

  it("call before and after n times, with the stack at its top each time", function()
    local seen = {}
    local time = lunette.bench(2, { { name = "f", params = { 1 }, results = { 2 } }, { name = "g" } }, {
      before = function(call, n) seen[#seen + 1] = { "before", call.name, n, call:stack()[1].definition.name, call.depth } end,
      after = function(_, n) seen[#seen + 1] = { "after", n } end,
    })
    assert.is_true(time > 0)
    local round = { { "before", "f", 1, "f", 1 }, { "after", 2 } }
    assert.same({ round[1], round[2], round[1], round[2] }, seen)
  end)

  it("give a listener what it asks of its call: params by name and as bits, its caller, its place, memory", function()
    local fake <close> = lunette.fake({ memory = { [8] = "text" } })
    local seen
    local definition = { name = "f", params = { "i32", "f32", "f64" }, param_names = { "size" } }
    lunette.bench(1, {
      { definition = definition, params = { -1, 1.5, 1.5 }, file = "f.c", line = 3, memory = fake.memory }, { name = "g" },
    }, function(call)
      seen = { call:param("size"), call:uparam("size"), call:bits(1), call:bits(2), call:bits(3), call.caller.definition.name,
        call:stack()[1].line, call.memory:cstring(8), call.data }
    end)
    assert.same({ -1, 0xffffffff, 0xffffffff, 0x3fc00000, 0x3ff8000000000000, "g", 3, "text" }, seen)
  end)

  it("take a plain function for a listener with before alone", function()
    local calls = 0
    lunette.bench(3, { { name = "f" } }, function() calls = calls + 1 end)
    assert.equal(3, calls)
  end)
end)
