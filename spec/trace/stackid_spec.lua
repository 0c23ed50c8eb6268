-- SPDX-License-Identifier: MIT
-- Stacks as numbers (core/trace/stackid.c), held against the stacks as they are walked.

local guest = require("spec.support.guest")

after_each(guest.close_all)

local text = [[(module
  (import "env" "again" (func $again))
  (func $a (export "a") (call $leaf) (call $leaf) (call $b))
  (func $b (call $leaf))
  (func $leaf (export "leaf"))
  (func $enters (export "enters") (call $again))
  (func $deep (export "deep") (param $n i32)
    (if (local.get $n) (then (call $deep (i32.sub (local.get $n) (i32.const 1)))) (else (call $leaf))))
  (func $ends (call $leaf) (return_call $b))
  (func $tails (export "tails") (call $ends) (call $leaf))
  (func $trap (export "trap") (call $leaf) unreachable))]]

local function open()
  local app
  app = guest.open(text, {
    imports = function(lunette)
      return { lunette.host("env", { again = { function() app.instance:invoke("a") end } }) }
    end,
  })
  return app
end

-- What an id stands for: functions, places and re-entries, less the place of the innermost frame.
local function key(stack)
  local parts = {}
  for i, frame in ipairs(stack) do
    parts[i] = ("%s %s %s %s"):format(frame.definition.name, i > 1 and frame.offset or "-", frame.is_host, frame.reentry)
  end
  return table.concat(parts, "\n")
end

-- Listens to the functions (all), in all events; ids by key and keys by id must be one to one.
local function note(app, where, by_key, by_id)
  local count = 0
  by_key, by_id = by_key or {}, by_id or {}
  local function one(call)
    local id, now = call:stack_id(), key(call:stack())
    assert(by_key[now] == nil or by_key[now] == id, "one stack, two ids")
    assert(by_id[id] == nil or by_id[id] == now, "two stacks, one id")
    if not by_id[id] then count = count + 1 end
    by_key[now], by_id[id] = id, now
  end
  app.lunette.on(where or "*", { before = one, after = one, abort = one })
  return by_id, function() return count end
end

describe("a stack's id", function()
  it("is the same for the same stack, and for no other", function()
    local app = open()
    local by_id, count = note(app)
    for _ = 1, 3 do app.instance:invoke("a") end
    assert.equal(5, count())
    app.instance:invoke("enters")
    app.instance:invoke("leaf")
    assert.equal(5 + 7 + 1, count())
    app.instance:invoke("deep", 100)
    guest.failure(app.instance.invoke, app.instance, "trap")
    assert.equal(13 + 102 + 2, count())
    for id, wanted in pairs(by_id) do assert.equal(wanted, key(app.lunette.stack_of(id))) end
  end)

  it("is the same whichever of the calls under it are listened to", function()
    local app, by_key, by_id = open(), {}, {}
    local function run()
      for _, name in ipairs({ "a", "enters", "tails", "leaf" }) do app.instance:invoke(name) end
      app.instance:invoke("deep", 7)
    end
    for _, where in ipairs({ "leaf", "b", "ends", "a", "deep", "*" }) do
      note(app, where, by_key, by_id)
      run()
    end
    -- The first call entered attaches to all: what is open already is not heard.
    app.lunette.on("enters", function() note(app, "*", by_key, by_id) end)
    run()
  end)

  it("can be asked of a host function where nothing was ever attached", function()
    local app, id
    app = guest.open(text, {
      imports = function(lunette)
        return { lunette.host("env", { again = { function(call) id = call:stack_id() end } }) }
      end,
    })
    app.instance:invoke("enters")
    assert.equal("enters", app.lunette.stack_of(id)[2].definition.name)
  end)

  it("stays good when the callback is over and the instance closed", function()
    local app = open()
    local id, wanted
    app.lunette.on("leaf", function(call) id, wanted = call:stack_id(), key(call:stack()) end)
    app.instance:invoke("a")
    app.instance:close()
    local stack = app.lunette.stack_of(id)
    assert.equal(wanted, key(stack))
    assert.is_nil(stack[1].offset)
    assert.same({ 3, "b", "a" }, { #stack, stack[2].definition.name, stack[3].definition.name })
  end)

  it("that was never given is an error", function()
    local app = open()
    for _, id in ipairs({ 0, -1, 1, 1 << 40 }) do
      assert.is_truthy(guest.failure(app.lunette.stack_of, id):find("stack_of: there is no stack " .. id, 1, true))
    end
    assert.is_truthy(guest.failure(app.lunette.stack_of, "x"):find("an id expected, got string", 1, true))
  end)
end)

describe("stacks' ids in C", function()
  it("keep to their budget, and say how often there was no room", function()
    local files = require("spec.support.files")
    local folder <close> = files.temporary()
    files.write(folder .. "/rules.wasm", require("spec.support.wat")(files.read("spec/c/rules.wat")))
    assert.matches("^%d+ checks, 0 failed\n$", require("spec.support.c")("stacks", folder .. "/rules.wasm"))
  end)
end)
