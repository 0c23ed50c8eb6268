-- SPDX-License-Identifier: MIT
-- lunette.on_change: globals and memory, compared at the entries and exits of calls (R11: what is watched is not touched).

local guest = require("spec.support.guest")

local failure = guest.failure

after_each(guest.close_all)

local text = [[(module (memory (export "m") 1 2) (global $g (export "g") (mut i32) (i32.const 1))
  (global (export "v") (mut v128) (v128.const i64x2 0 0)) (global (export "r") (mut externref) (ref.null extern))
  (func $set (export "set") (param i32) (global.set $g (local.get 0)))
  (func $store (export "store") (param i32 i32) (i32.store (local.get 0) (local.get 1)))
  (func (export "both") (param i32) (call $set (local.get 0)) (global.set $g (i32.const 50))
    (call $store (i32.const 16) (i32.const 7)))
  (func (export "breaks") (param i32) (global.set $g (local.get 0)) unreachable)
  (func (export "set_v") (param v128 externref) (global.set 1 (local.get 0)) (global.set 2 (local.get 1))))]]

local function noted(app, target, options)
  local list = {}
  local attachment = app.lunette.on_change(target, function(call, old, new)
    list[#list + 1] = ("%s %s -> %s"):format(call.name, old, new)
  end, options)
  return list, attachment
end

describe("on_change", function()
  it("tells of a global at the next entry or exit, and of nothing where nothing has changed", function()
    local app = guest.open(text)
    local list, attachment = noted(app, app.instance:global("g"))
    app.instance:invoke("set", 1)
    assert.same({}, list)
    app.instance:invoke("both", 9)
    assert.same({ "set 1 -> 9", "store 9 -> 50" }, list)
    failure(app.instance.invoke, app.instance, "breaks", 4)
    assert.equal("breaks 50 -> 4", list[3])
    assert.equal(3, attachment.calls)
  end)

  it("takes an address of a 64-bit memory 0 whole, and no field that is none", function()
    local app = guest.open([[(module (memory (export "m") i64 1)
      (func $store (export "store") (param i64) (i64.store8 (local.get 0) (i64.const 7))))]])
    local far, near = noted(app, { (1 << 32) + 8, 1 }), noted(app, { 8, 1 })
    app.instance:invoke("store", 8)
    app.instance:invoke("store", 8)
    assert.same({ {}, { "store \0 -> \7" } }, { far, near })
    local function refused(target)
      return tostring(failure(app.lunette.on_change, target, function() end))
    end
    assert.matches("no such field: 'memori'; did you mean 'memory'%?", refused({ 0, 4, memori = app.instance.memory }))
    assert.matches("{address, size, memory=} has no further fields", refused({ 0, 4, 5 }))
  end)

  it("tells of bytes of memory, as strings", function()
    local app = guest.open(text)
    local list = noted(app, { 16, 2 })
    local elsewhere = noted(app, { 18, 2, memory = app.instance.memory })
    app.instance:invoke("store", 16, 0x4142)
    app.instance:invoke("store", 16, 0x4142)
    assert.same({ "store \0\0 -> BA" }, list)
    assert.same({}, elsewhere)
  end)

  it("begins where the bytes are there, and follows a memory that grows", function()
    local app = guest.open(text)
    local list = noted(app, { 65536, 4, memory = app.instance.memory })
    app.instance:invoke("set", 1)
    assert.same({}, list)
    local module = app.lunette.module(require("spec.support.wat")([[(module (memory (import "a" "m") 1)
      (func (export "grow") (drop (memory.grow (i32.const 1))))
      (func (export "poke") (i32.store8 (i32.const 65536) (i32.const 66))))]]))
    local other = app.lunette.instantiate(module, { imports = { a = app.instance } })
    other:invoke("grow")
    assert.same({}, list)
    other:invoke("poke")
    assert.same({ "poke \0\0\0\0 -> B\0\0\0" }, list)
  end)

  it("tells of vectors and references", function()
    local app = guest.open(text)
    local thing, seen = {}, {}
    app.lunette.on_change(app.instance:global("v"), function(_, old, new) seen.v = { old, new } end)
    app.lunette.on_change(app.instance:global("r"), function(_, old, new) seen.r = { old or "null", new } end)
    app.instance:invoke("set_v", ("\1"):rep(16), thing)
    assert.same({ v = { ("\0"):rep(16), ("\1"):rep(16) }, r = { "null", thing } }, seen)
  end)

  it("checks at the calls that where= names", function()
    local app = guest.open(text)
    local list = noted(app, app.instance:global("g"), { where = "store" })
    app.instance:invoke("both", 9)
    assert.same({ "store 1 -> 50" }, list)
  end)

  it("R8 checks at calls of instances made later; without a name memory is that of the first heard", function()
    local session = guest.session()
    local list = noted({ lunette = session }, { 16, 1 })
    local app = session.instantiate(session.module({ bytes = require("spec.support.wat")(text), name = "app" }))
    app:invoke("store", 16, 0x41)
    app:invoke("store", 16, 0x42)
    assert.same({ "store \0 -> A", "store A -> B" }, list)
  end)

  it("R6 R7 can be detached, paused, and from within", function()
    local app = guest.open(text)
    local list, attachment = noted(app, app.instance:global("g"))
    attachment:pause()
    app.instance:invoke("set", 2)
    attachment:resume()
    app.instance:invoke("set", 2)
    assert.same({ "set 1 -> 2" }, list)
    attachment:detach()
    app.instance:invoke("set", 3)
    local own, count = nil, 0
    own = app.lunette.on_change(app.instance:global("g"), function() count = count + 1 own:detach({ drop = true }) end)
    app.instance:invoke("both", 4)
    assert.same({ 1, 1, true }, { #list, count, own.detached })
  end)

  it("R9 one that fails is told once and then silent; with stop the run ends", function()
    local app = guest.open(text)
    local attachment = app.lunette.on_change(app.instance:global("g"), function() error("oh no") end)
    app.instance:invoke("set", 2)
    app.instance:invoke("set", 3)
    assert.equal(1, #app.messages)
    assert.is_truthy(app.messages[1]:find("oh no", 1, true))
    assert.same({ 1, 1 }, { attachment.errors, attachment.muted })
    app.lunette.on_change(app.instance:global("g"), function() error("oh no") end, { on_error = "stop" })
    assert.equal("listener", failure(app.instance.invoke, app.instance, "set", 4).kind)
  end)

  it("R17 is not told of calls that it makes, but of what they have changed", function()
    local app = guest.open(text)
    local list = {}
    app.lunette.on_change(app.instance:global("g"), function(call, old, new)
      list[#list + 1] = ("%s %d -> %d"):format(call.name, old, new)
      if new < 10 then app.instance:invoke("set", 10) end
    end)
    app.instance:invoke("set", 2)
    assert.same({ "set 1 -> 2" }, list)
    app.instance:invoke("store", 0, 0)
    assert.same({ "set 1 -> 2", "store 2 -> 10" }, list)
  end)

  it("gives the call that begins or has ended, with its params if they were asked for", function()
    local app = guest.open(text)
    local seen = {}
    app.lunette.on_change(app.instance:global("g"), function(call) seen[#seen + 1] = { call.name, call:param(1) } end,
      { params = true })
    app.instance:invoke("both", 9)
    assert.same({ { "set", 9 }, { "store", 16 } }, seen)
  end)

  it("says what it cannot watch", function()
    local app = guest.open(text)
    for _, case in ipairs({ { nil, "what is watched, if no {address, size}, must be a global" },
      { { "x", 1 }, "the address is no integer" },
      { { 1 }, "the size is no integer" }, { { 1, 0 }, "from 1 to 65536 bytes" }, { { 1, 65537 }, "from 1 to 65536 bytes" },
      { { 1, 1, memory = 5 }, "memory= must be a memory, not a number" },
      { guest.open(text).instance:global("g"), "another session's" } }) do
      local problem = tostring(failure(app.lunette.on_change, case[1], print))
      assert.is_truthy(problem:find(case[2], 1, true), problem)
    end
    assert.is_truthy(tostring(failure(app.lunette.on_change, { 1, 1 }, 5)):find("a function expected, got number", 1, true))
    assert.is_truthy(tostring(failure(app.lunette.on_change, { 1, 1 }, print, { wher = "x" })):find("where", 1, true))
  end)

  it("R7 goes with its script", function()
    local files, command = require("spec.support.files"), require("spec.support.command")
    local folder <close> = files.temporary()
    files.write(folder .. "/app.wasm", require("spec.support.wat")([[(module (memory (export "memory") 1)
      (func $poke (param i32) (i32.store8 (i32.const 8) (local.get 0)))
      (func (export "_start") (call $poke (i32.const 65)) (call $poke (i32.const 66)) (call $poke (i32.const 67))))]]))
    files.write(folder .. "/watch.lua", [[lunette.on_change({ 8, 1 }, function(_, old, new)
      print(('%q %q'):format(old, new)) end)]])
    local result = command.run(command.lunette, { "run", "-e", ([[
      lunette.load("%s/watch.lua")
      local calls = 0
      lunette.on("#0", function() calls = calls + 1 if calls == 3 then lunette.unload("%s/watch.lua") end end)
    ]]):format(folder, folder), folder .. "/app.wasm" })
    assert.same({ 0, '"\\0" "A"\n"A" "B"\n' }, { result.status, result.stderr })
  end)
end)
