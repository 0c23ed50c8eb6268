-- SPDX-License-Identifier: MIT
-- R20: events that are no calls (core/trace/event.c, core/engine/growth.c).

local guest = require("spec.support.guest")

local failure = guest.failure

after_each(guest.close_all)

local text = [[(module
  (import "env" "again" (func $again))
  (memory $m (export "memory") 1 3)
  (memory $other 0 1)
  (table $t (export "table") 2 5 funcref)
  (func $grow (export "grow") (param $n i32) (result i32) (memory.grow (local.get $n)))
  (func $grow_other (export "grow_other") (result i32) (memory.grow $other (i32.const 1)))
  (func $grow_table (export "grow_table") (param $n i32) (result i32) (table.grow $t (ref.null func) (local.get $n)))
  (func $outer (export "outer") (result i32) (call $inner))
  (func $inner (result i32) (i32.store (i32.const 0) (i32.const 7)) (memory.grow (i32.const 1)) (drop) (memory.size))
  (func $leaf (export "leaf") (result i32) (i32.const 5))
  (func $forever (export "forever") (loop (drop (memory.grow (i32.const 0))) (br 0)))
  (func $enters (export "enters") (call $again)))]]

local function open()
  local app
  app = guest.open(text, {
    imports = function(lunette)
      return { lunette.host("env", { again = { function() app.instance:invoke("grow", 1) end } }) }
    end,
  })
  return app
end

local function noted(app, options)
  local list = {}
  local watch = app.lunette.on_grow(function(event)
    list[#list + 1] = ("%s %d+%d %s"):format(event.memory and "memory" or "table", event.old, event.delta, event.result)
  end, options)
  return list, watch
end

describe("R20 growth", function()
  it("tells old size, delta and result, also where it fails", function()
    local app = open()
    local list = noted(app)
    app.instance:invoke("grow", 1)
    app.instance:invoke("grow", 0)
    assert.equal(-1, app.instance:invoke("grow", 2))
    app.instance:invoke("grow_other")
    app.instance:invoke("grow_table", 3)
    assert.equal(-1, app.instance:invoke("grow_table", -1))
    assert.same({ "memory 1+1 1", "memory 2+0 2", "memory 2+2 nil", "memory 0+1 0", "table 2+3 2",
      "table 5+4294967295 nil" }, list)
  end)

  it("tells which instance, memory and table", function()
    local app = open()
    local seen = {}
    app.lunette.on_grow(function(event)
      seen[#seen + 1] = event.instance == app.instance and event.kind == "grow"
      seen[#seen + 1] = event.memory == app.instance.memory or event.table == app.instance:table("table")
      if event.memory then seen[#seen + 1] = event.memory:size() == 2 * 65536 end
    end)
    app.instance:invoke("grow", 1)
    app.instance:invoke("grow_table", 1)
    assert.same({ true, true, true, true, true }, seen)
  end)

  it("gives the stack, from the instruction on, to keep", function()
    local app = open()
    local stack, kept
    app.lunette.on_grow(function(event)
      stack = event:stack()
      kept = event
    end)
    local err
    app.lunette.on("inner", { abort = function(_, e) err = e end })
    assert.equal(2, app.instance:invoke("outer"))
    assert.is_nil(err)
    assert.same({ "inner", "outer" }, { stack[1].definition.name, stack[2].definition.name })
    local inner = stack[1].definition
    assert.is_true(stack[1].offset > inner.offset and stack[1].offset < inner.offset + inner.size)
    assert.is_truthy(failure(function() return kept.old end):find("stale event", 1, true))
    app.instance:invoke("enters")
    local names = {}
    for _, frame in ipairs(stack) do names[#names + 1] = frame.definition.name end
    assert.same({ "grow", "again", "enters" }, names)
  end)

  it("leaves memory and results as they are, and the guest goes on with the memory that has moved", function()
    local app = open()
    noted(app)
    app.lunette.on_grow(function() app.instance:invoke("leaf") end)
    assert.equal(2, app.instance:invoke("outer"))
    assert.equal(7, app.instance.memory:u32(0))
  end)

  it("follows R6: in order of attachment, settled when the event begins", function()
    local app = open()
    local list, second = {}, nil
    app.lunette.on_grow(function()
      list[#list + 1] = "first"
      second:detach()
      app.lunette.on_grow(function() list[#list + 1] = "late" end)
    end)
    second = app.lunette.on_grow(function() list[#list + 1] = "second" end)
    app.instance:invoke("grow", 0)
    assert.same({ "first", "second" }, list)
    app.instance:invoke("grow", 0)
    assert.same({ "first", "second", "first", "late" }, list)
  end)

  it("follows R6: drop silences at once", function()
    local app = open()
    local list, second = {}, nil
    app.lunette.on_grow(function() second:detach({ drop = true }) end)
    second = app.lunette.on_grow(function() list[#list + 1] = "second" end)
    app.instance:invoke("grow", 0)
    assert.same({}, list)
    assert.is_true(second.detached)
  end)

  it("follows R9: report tells once and mutes, stop ends the run, a function is told", function()
    local app = open()
    local list = noted(app)
    app.lunette.on_grow(function() error("this is why") end)
    app.instance:invoke("grow", 0)
    app.instance:invoke("grow", 0)
    assert.equal(2, #list)
    assert.equal(1, #app.messages)
    assert.is_truthy(app.messages[1]:find("this is why", 1, true) and app.messages[1]:find("traceback", 1, true))
    local told
    app.lunette.on_grow(function() error("told") end, { on_error = function(message) told = message end })
    app.instance:invoke("grow", 0)
    assert.is_truthy(told:find("told", 1, true))
    app.lunette.on_grow(function() error("the end") end, { on_error = "stop" })
    local events = guest.hear(app, "forever")
    local err = failure(app.instance.invoke, app.instance, "forever")
    assert.equal("listener", err.kind)
    assert.is_truthy(err.message:find("the end", 1, true))
    assert.same({ "before forever", "abort forever listener" }, events)
  end)

  it("follows R17: not reported to itself, unless it is reentrant", function()
    local app = open()
    local plain, again = 0, 0
    app.lunette.on_grow(function()
      plain = plain + 1
      app.instance:invoke("grow", 0)
    end)
    app.instance:invoke("grow", 0)
    assert.equal(1, plain)
    app.lunette.on_grow(function()
      again = again + 1
      if again < 3 then app.instance:invoke("grow", 0) end
    end, { reentrant = true })
    app.instance:invoke("grow", 0)
    assert.is_true(again >= 3)
  end)

  it("can stop the run", function()
    local app = open()
    app.lunette.on_grow(function() app.lunette.stop(9) end)
    local err = failure(app.instance.invoke, app.instance, "forever")
    assert.same({ "exit", 9 }, { err.kind, err.code })
  end)

  it("is over when it is detached, and goes with the session when it is not", function()
    local app = open()
    local list, watch = noted(app)
    noted(app)
    watch:detach()
    watch:detach()
    app.instance:invoke("grow", 0)
    assert.same({}, list)
    assert.equal("watch (detached)", tostring(watch))
  end)

  it("refuses what it cannot take", function()
    local app = open()
    assert.is_truthy(failure(app.lunette.on_grow, 3):find("a function expected", 1, true))
    assert.is_truthy(failure(app.lunette.on_grow, print, { on_eror = "stop" }):find("did you mean 'on_error'?", 1, true))
    assert.is_truthy(failure(app.lunette.on_grow, print, { on_error = "halt" }):find("on_error must be", 1, true))
    assert.is_truthy(failure(app.lunette.on_grow, print, 1):find("must be a table", 1, true))
  end)
end)

describe("R20 instances", function()
  it("tells of those that are made and closed, with the stack where a guest runs", function()
    local app = open()
    local list, stacks = {}, {}
    app.lunette.on_instance(function(event)
      list[#list + 1] = event.kind .. " " .. event.instance.name
      stacks[#stacks + 1] = event:stack() or false
      assert(event.old == nil and event.memory == nil)
    end)
    local module = app.lunette.module({ bytes = require("spec.support.wat")("(module)"), name = "small" })
    local small = app.lunette.instantiate(module)
    small:close()
    small:close()
    assert.same({ "instance small", "close small" }, list)
    assert.same({ false, false }, stacks)
    app.lunette.on("leaf", function() app.lunette.instantiate(module, { name = "inside" }) end)
    app.instance:invoke("leaf")
    assert.equal("instance inside", list[3])
    assert.equal("leaf", stacks[3][1].definition.name)
  end)

  it("tells of none whose start function has failed", function()
    local app = open()
    local list = {}
    app.lunette.on_instance(function(event) list[#list + 1] = event.kind end)
    local module = app.lunette.module(require("spec.support.wat")("(module (func $f unreachable) (start $f))"))
    assert.equal("trap", failure(app.lunette.instantiate, module).kind)
    assert.same({}, list)
  end)

  it("can be attached to in the callback", function()
    local app = open()
    local calls = 0
    app.lunette.on_instance(function(event)
      if event.kind == "instance" then app.lunette.on("run", function() calls = calls + 1 end) end
    end)
    local module = app.lunette.module(require("spec.support.wat")('(module (func $run (export "run")))'))
    app.lunette.instantiate(module):invoke("run")
    assert.equal(1, calls)
  end)
end)

describe("R20 events in C", function()
  it("hold to the same", function()
    local files = require("spec.support.files")
    local folder <close> = files.temporary()
    files.write(folder .. "/guest.wasm", require("spec.support.wat")([[(module
      (memory (export "memory") 1 4)
      (table $t 2 5 funcref)
      (func (export "grow") (param $n i32) (result i32) (memory.grow (local.get $n)))
      (func (export "grow_table") (param $n i32) (result i32) (table.grow $t (ref.null func) (local.get $n))))]]))
    assert.matches("^%d+ checks, 0 failed\n$", require("spec.support.c")("growth", folder .. "/guest.wasm"))
  end)
end)
