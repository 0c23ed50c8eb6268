-- SPDX-License-Identifier: MIT
-- The listener contract, rule by rule, from Lua: calls, from R1 to R5.

local guest = require("spec.support.guest")
local ways = require("spec.support.ways")

local hear, failure = guest.hear, guest.failure

after_each(guest.close_all)

describe("R1 pairing", function()
  for _, name in ipairs({ "ends", "returns", "br", "br_if", "br_table" }) do
    it("gives after where a function " .. name, function()
      local app = ways.open()
      local events = hear(app, name)
      app.instance:invoke(name)
      assert.same({ "before " .. name, "after " .. name }, events)
    end)
  end

  it("gives after with the results", function()
    local app = ways.open()
    local events = hear(app, "gives")
    assert.equal(7, app.instance:invoke("gives"))
    assert.same({ "before gives", "after gives 7" }, events)
  end)

  for name, kind in pairs({ unreachable = "trap", divides = "trap", loads = "trap", host_error = "host", exits = "exit" }) do
    it("gives abort of kind " .. kind .. " where a function " .. name, function()
      local app = ways.open()
      local events = hear(app, name)
      assert.equal(kind, failure(app.instance.invoke, app.instance, name).kind)
      assert.same({ "before " .. name, "abort " .. name .. " " .. kind }, events)
    end)
  end

  for _, depth in ipairs({ 1, 30, 31, 1000 }) do
    it("holds at " .. depth .. " frames, for after and for abort", function()
      local app = ways.open()
      local seen = ways.count(app, "deep*")
      assert.equal(depth, app.instance:invoke("deep", depth))
      assert.same({ depth + 1, depth + 1, 0, 0 }, { seen.before, seen.after, seen.abort, seen.open() })
      failure(app.instance.invoke, app.instance, "deep_trap", depth)
      assert.same({ 2 * depth + 2, depth + 1, depth + 1, 0 }, { seen.before, seen.after, seen.abort, seen.open() })
    end)
  end

  it("holds at the engine's limit", function()
    local app = ways.open({ stack = 1 << 20 })
    local seen = ways.count(app, "endless")
    failure(app.instance.invoke, app.instance, "endless")
    assert.is_true(seen.before > 1000)
    assert.same({ seen.before, 0 }, { seen.abort, seen.open() })
  end)

  it("holds when a listener stops the run", function()
    local app = ways.open()
    local seen = ways.count(app, "*")
    app.lunette.on("deep", function(_, n) if n == 3 then app.lunette.stop(4) end end)
    local err = failure(app.instance.invoke, app.instance, "deep", 10)
    assert.same({ "exit", 4 }, { err.kind, err.code })
    assert.same({ 0, seen.before, 0 }, { seen.after, seen.abort, seen.open() })
  end)

  it("holds when the instance is closed by a callback", function()
    local app = ways.open()
    local seen = ways.count(app, "*")
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
    local app = ways.open()
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
    local app = ways.open()
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
    local app = ways.open()
    local seen
    app.lunette.on("unreachable", {
      before = function(call) call.data = { 1 } end,
      abort = function(call) seen = call.data end,
    })
    failure(app.instance.invoke, app.instance, "unreachable")
    assert.same({ 1 }, seen)
  end)

  it("no call is the parent of what is made after its end was heard", function()
    local parts = [[(module (func $other (export "other"))
      (func $leaf (export "leaf")) (func $trap (export "trap") unreachable))]]
    for _, ending in ipairs({ "after", "abort" }) do
      for _, listens in ipairs({ "before it", "behind it, and fails" }) do
        local app = guest.open(parts)
        local fails = listens ~= "before it"
        local parents = {}
        local function call_other() app.instance:invoke("other") end
        local listener = { [ending] = function() if fails then error("now") else call_other() end end }
        if not fails then app.lunette.on({ "leaf", "trap" }, listener) end
        local pairing = app.lunette.pairing()
        app.lunette.on("*", function(call) parents[#parents + 1] = call.name .. " in " .. tostring(call.parent_id) end)
        if fails then app.lunette.on({ "leaf", "trap" }, listener, { on_error = call_other }) end
        pcall(app.instance.invoke, app.instance, ending == "after" and "leaf" or "trap")
        assert.same({ (ending == "after" and "leaf" or "trap") .. " in nil", "other in nil" }, parents)
        pairing:check()
      end
    end
  end)
end)

describe("R3 exhaustion comes first", function()
  it("gives the refused call no event and every open one abort", function()
    local app = ways.open({ stack = 1 << 20 })
    local seen = ways.count(app, "endless")
    local err = failure(app.instance.invoke, app.instance, "endless")
    assert.equal("exhausted", err.kind)
    assert.same({ exhausted = seen.before }, seen.kinds)
  end)

  it("exhausts a traced run at the same call as an untraced one", function()
    local text = [[(module (global $n (export "n") (mut i32) (i32.const 0))
      (func $f (export "f") (global.set $n (i32.add (global.get $n) (i32.const 1))) (call $f)))]]
    local options = { session = { stack = 1 << 20 } }
    local plain, traced = guest.open(text, options), guest.open(text, options)
    local seen = ways.count(traced, "f")
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
    local app = ways.open()
    local err = failure(app.instance.invoke, app.instance, "deep_trap", 19999)
    assert.equal(11000, #err.stack)
    assert.equal(9000, err.stack.omitted)
    assert.is_truthy(tostring(err.stack):find("9000 frames omitted", 1, true))
  end)

  it("of lunette.stop is kind exit with its status", function()
    local app = ways.open()
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
    local app = ways.open()
    local events = hear(app, { "exits", "host:*leave" })
    local err = failure(app.instance.invoke, app.instance, "exits")
    assert.same({ "exit", 0 }, { err.kind, err.code })
    assert.equal("before exits", events[1])
    assert.equal("abort exits exit", events[#events])
    for _, event in ipairs(events) do assert.is_nil(event:match("^after exits")) end
  end)

  it("gives no events to a call that is refused before it starts", function()
    local app = ways.open()
    local events = hear(app, "*")
    assert.is_truthy(failure(app.instance.invoke, app.instance, "deep"):find("takes 1", 1, true))
    assert.is_truthy(failure(app.instance.invoke, app.instance, "deep", "x"):find("must be i32", 1, true))
    app.instance:close()
    assert.equal("usage", failure(app.instance.invoke, app.instance, "returns").kind)
    assert.same({}, events)
  end)
end)
