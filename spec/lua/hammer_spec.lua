-- SPDX-License-Identifier: MIT
-- One run during which a script is reloaded 1,000 times and listeners come and go 100,000 times, with calls open, under the
-- pairing checker (R6, R7). Nothing is left at its end. Fewer times under the sanitizers.

local uv = require("luv")

local command = require("spec.support.command")
local files = require("spec.support.files")
local guest = require("spec.support.guest")
local handles = require("spec.support.handles")

local TICKS = command.sanitized and 6000 or 100000
local RELOAD_EVERY = command.sanitized and 60 or 100

-- Each round ticks twice: in a call, and in one whose place is taken by a tail call.
local text = [[(module
  (import "host" "tick" (func $tick (param i32)))
  (func $leaf (param i32) (result i32) (call $tick (local.get 0)) (local.get 0))
  (func $tail (param i32) (result i32) (return_call $leaf (local.get 0)))
  (func $work (export "work") (param i32) (result i32)
    (i32.add (call $leaf (local.get 0)) (call $tail (local.get 0))))
  (func (export "run") (param $n i32) (result i32) (local $sum i32)
    (loop $l
      (local.set $sum (i32.add (local.get $sum) (call $work (local.get $n))))
      (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $sum)))]]

local script_text = [[
local state = lunette.state
state.loads = (state.loads or 0) + 1
local open, counted = 0, lunette.count({ quiet = true })
lunette.on("work", counted)
lunette.on("*", {
  before = function() open = open + 1 end,
  after = function() open = open - 1 if open < 0 then error("unpaired") end end,
}, { time = true })
lunette.on("leaf", { after = function(call) call:params() end }, { params = true })
lunette.on_grow(print)
lunette.every(1, function() state.struck = (state.struck or 0) + 1 end)
lunette.delay(1 << 40, print)
local timer = lunette.uv.new_timer()
timer:start(1, 1, function() state.rung = (state.rung or 0) + 1 end)
lunette.linger(1)
lunette.at_exit(function() print(state.loads, state.struck ~= nil, state.rung ~= nil) end)
]]

-- What the allocator and the collector hold.
local function held()
  for _ = 1, 3 do collectgarbage() end
  return collectgarbage("count") * 1024, uv.resident_set_memory()
end

-- How many calls the guest's work is heard in: ids are given to those alone.
local function ids_of(app, act)
  local first, last
  local probe = app.lunette.on("run", function(call) first, last = last, call.id end)
  app.instance:invoke("run", 1)
  probe:detach()
  act()
  probe = app.lunette.on("run", function(call) first, last = last, call.id end)
  app.instance:invoke("run", 1)
  probe:detach()
  return last - first - 1
end

describe("a run", function()
  local folder, app, on_tick, descriptors

  before_each(function()
    descriptors = handles.open()
    folder = files.temporary()
    files.write(folder .. "/x.lua", script_text)
    on_tick = function() end
    app = guest.open(text, {
      session = { output = folder .. "/out" },
      imports = function(session)
        return { session.host("host", { tick = { params = { "i32" }, results = {}, function(_, n) on_tick(n) end } }) }
      end,
    })
  end)
  after_each(function()
    guest.close_all()
    files.remove(folder.path)
  end)

  it("R7 stays paired while scripts and listeners come and go, and keeps nothing of them", function()
    local pairing = app.lunette.pairing()
    local script = app.lunette.load(folder .. "/x.lua")
    local wheres = { "leaf", "*", { "work", "tail" }, "host:tick", { name = "leaf", depth = { 1, 9 } }, "run" }
    local alive, ticks, attached, reloads, open, middle, final = {}, 0, 0, 0, 0, nil, nil

    local function attach()
      local own = 0
      local attachment = app.lunette.on(wheres[ticks % #wheres + 1], {
        before = function() own, open = own + 1, open + 1 end,
        after = function() own, open = own - 1, open - 1 end,
      }, { name = "hammer", time = ticks % 7 == 0, params = ticks % 5 == 0 })
      attached = attached + 1
      alive[#alive + 1] = { attachment, function() open = open - own end }
    end

    local function detach()
      local oldest = table.remove(alive, 1)
      local drop = ticks % 3 == 0
      oldest[1]:detach({ drop = drop })
      if drop then oldest[2]() end -- what is dropped hears no end
    end

    on_tick = function()
      ticks = ticks + 1
      attach()
      if #alive > 8 then detach() end
      if ticks % RELOAD_EVERY == 0 then
        script = script:reload()
        reloads = reloads + 1
      end
      if ticks == TICKS // 2 then middle = { held() }
      elseif ticks == TICKS then final = { held() } end
    end
    assert.equal(TICKS // 2 * (TICKS // 2 + 1) & 0xffffffff, app.instance:invoke("run", TICKS // 2) & 0xffffffff)
    on_tick = function() end
    while #alive > 0 do detach() end

    assert.same({ TICKS, TICKS, TICKS // RELOAD_EVERY }, { ticks, attached, reloads })
    assert.same({}, app.messages)
    assert.equal(0, open)
    pairing:check()
    assert.same({ 0, 0 }, { pairing.open, pairing.violations })
    assert.equal(pairing.befores, pairing.afters + pairing.aborts)
    pairing:detach()
    assert.equal(script, app.lunette.scripts[1])
    assert.is_true(final[1] - middle[1] < 100000, ("the collector holds %d bytes more"):format(final[1] - middle[1]))
    if not command.sanitized then -- which keep freed memory for a while
      assert.is_true(final[2] - middle[2] < 3 << 20, ("the process has %d bytes more"):format(final[2] - middle[2]))
    end
    script:unload() -- its at_exit, once
    assert.same({}, app.lunette.scripts)
    assert.equal(0, ids_of(app, function() app.instance:invoke("run", 1000) end))
    app.lunette.uv.run("nowait")
    assert.is_false(app.lunette.uv.loop_alive())
    app.lunette.close()
    assert.equal(("%d\ttrue\ttrue\n"):format(reloads + 1), files.read(folder .. "/out"))
    assert.same(descriptors, handles.open())
  end)
end)
