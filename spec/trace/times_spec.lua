-- SPDX-License-Identifier: MIT
-- R21: times for those who ask. The clock that the specs hold them to is read on both sides: what must be counted is at most
-- what was, and what must not be counted is left out of a whole that was measured outside. So no load can make them fail.

local core = require("lunette.core")
local guest = require("spec.support.guest")
local wat = require("spec.support.wat")

local clock = core.monotonic_ns

after_each(guest.close_all)

local text = [[(module
  (import "env" "work" (func $work))
  (import "env" "again" (func $again))
  (func $outer (export "outer") (call $middle) (call $work) (call $middle))
  (func $middle (call $leaf) (call $leaf))
  (func $leaf (export "leaf") (call $work))
  (func $trap (export "trap") (call $leaf) unreachable)
  (func $tail (export "tail") (call $leaf) (return_call $leaf))
  (func $enters (export "enters") (call $again)))]]

-- Passes at least this much of the clock, and gives what has passed.
local function spend(ns)
  local start = clock()
  repeat local passed = clock() - start until passed >= ns
  return clock() - start
end

local function open()
  local app
  app = guest.open(text, {
    imports = function(lunette)
      return { lunette.host("env", {
        work = { function() app.worked = (app.worked or 0) + spend(20000) end },
        again = { function() app.instance:invoke("leaf") end },
      }) }
    end,
  })
  return app
end

-- Listens with times; each finished call is a row { name, elapsed, self, id, parent }.
local function timed(app, where, listener, options)
  local rows = {}
  local function finish(call)
    rows[#rows + 1] = { name = call.name, elapsed = call.elapsed, own = call.self_time, id = call.id,
      parent = call.parent_id, at = call.time }
    if listener and listener.after then listener.after(call) end
  end
  local settings = { time = true }
  for name, value in pairs(options or {}) do settings[name] = value end
  app.lunette.on(where, { before = listener and listener.before, after = finish, abort = finish }, settings)
  return rows
end

-- Every call's own time is its elapsed time less that of the calls in it, as the rows show them.
local function adds_up(rows)
  local inner = {}
  for _, row in ipairs(rows) do
    if row.parent then inner[row.parent] = (inner[row.parent] or 0) + row.elapsed end
  end
  for _, row in ipairs(rows) do
    assert.equal(row.elapsed - (inner[row.id] or 0), row.own, row.name)
    assert.is_true(row.own >= 0)
  end
end

describe("R21 time", function()
  it("is not to be had by those who have not asked, and the error says so", function()
    local app = open()
    local said = {}
    app.lunette.on("leaf", {
      before = function(call) said[#said + 1] = select(2, pcall(function() return call.time end)) end,
      after = function(call)
        for _, name in ipairs({ "elapsed", "self_time" }) do
          said[#said + 1] = select(2, pcall(function() return call[name] end))
        end
      end,
    })
    timed(app, "middle")
    app.instance:invoke("leaf")
    for i, name in ipairs({ "time", "elapsed", "self_time" }) do
      assert.is_truthy(said[i]:find(("call.%s was not asked for; attach with time=true to have it"):format(name), 1, true))
    end
  end)

  it("elapsed is for after and abort", function()
    local app = open()
    local said
    app.lunette.on("leaf", function(call) said = select(2, pcall(function() return call.elapsed end)) end, { time = true })
    app.instance:invoke("leaf")
    assert.is_truthy(said:find("call.elapsed is known in after and abort, not in before", 1, true))
  end)

  it("is in whole ns of the monotonic clock, and never goes back", function()
    local app = open()
    local moments = { clock() }
    local function note(call) moments[#moments + 1] = call.time end
    app.lunette.on("*", { before = note, after = note }, { time = true })
    app.instance:invoke("outer")
    moments[#moments + 1] = clock()
    assert.equal(2 + 2 * 12, #moments)
    for i = 2, #moments do
      assert.equal("integer", math.type(moments[i]))
      assert.is_true(moments[i] >= moments[i - 1])
    end
  end)

  it("of a call holds what it and the calls in it did", function()
    local app = open()
    local rows = timed(app, "outer")
    local start = clock()
    app.instance:invoke("outer")
    local all = clock() - start
    assert.equal(1, #rows)
    assert.is_true(rows[1].elapsed >= app.worked and rows[1].elapsed <= all)
    assert.equal(rows[1].elapsed, rows[1].own)
  end)

  it("less the callees that the same attachment heard is its own", function()
    local app = open()
    local rows, some = timed(app, "*"), timed(app, { "outer", "leaf" })
    app.instance:invoke("outer")
    assert.same({ 12, 5 }, { #rows, #some })
    adds_up(rows)
    adds_up(some)
  end)

  it("leaves out the time spent in listeners, in those too that have not asked", function()
    local app = open()
    local spent = 0
    local function waste() spent = spent + spend(50000) end
    local rows = timed(app, { "outer", "leaf" }, { before = waste, after = waste })
    app.lunette.on("middle", { before = waste, after = waste })
    local start = clock()
    app.instance:invoke("outer")
    local all = clock() - start
    adds_up(rows)
    local outer = rows[#rows]
    assert.equal("outer", outer.name)
    assert.is_true(outer.elapsed >= app.worked)
    assert.is_true(outer.elapsed + spent <= all)
  end)

  it("of a call that ends in abort or in a tail call is there as well", function()
    local app = open()
    local rows = timed(app, { "trap", "leaf" })
    guest.failure(app.instance.invoke, app.instance, "trap")
    assert.same({ "leaf", "trap" }, { rows[1].name, rows[2].name })
    adds_up(rows)
    app.worked = 0
    rows = timed(app, { "tail", "leaf" })
    app.instance:invoke("tail")
    assert.same({ "leaf", "tail", "leaf" }, { rows[1].name, rows[2].name, rows[3].name })
    adds_up(rows)
    assert.is_true(rows[2].elapsed + rows[3].elapsed >= app.worked)
  end)

  it("of guest code that a host function calls is its caller's, too", function()
    local app = open()
    local rows = timed(app, "*")
    app.instance:invoke("enters")
    assert.equal(4, #rows)
    adds_up(rows)
    assert.is_true(rows[4].elapsed >= app.worked)
  end)

  it("of guest code that a callback calls is that call's own, and nobody else's", function()
    local app = open()
    local inside, calls = 0, 0
    local function call_leaf(call)
      if call.name ~= "middle" then return end
      local start = clock()
      app.instance:invoke("leaf")
      inside, calls = inside + clock() - start, calls + 1
    end
    local rows = timed(app, "*", { before = call_leaf, after = call_leaf }, { reentrant = true })
    local start = clock()
    app.instance:invoke("outer")
    local all = clock() - start
    assert.equal(4, calls)
    local outer, charged = rows[#rows], 0
    for _, row in ipairs(rows) do
      if row.parent == outer.id then charged = charged + row.elapsed end
      assert.is_true(row.own >= 0 and row.own <= row.elapsed)
    end
    assert.equal(outer.elapsed - charged, outer.own)
    assert.is_true(outer.elapsed + inside <= all)
  end)

  -- "spin" goes round until the host says that it is done; "deep" calls itself so often, and works at the bottom.
  local spinning = [[(module
    (import "env" "work" (func $work))
    (import "env" "done" (func $done (result i32)))
    (func $deep (export "deep") (param $n i32)
      (if (local.get $n) (then (call $deep (i32.sub (local.get $n) (i32.const 1)))) (else (call $work))))
    (func $spin (export "spin") (loop $l (br_if $l (i32.eqz (call $done)))))
    (func (export "within") (param $n i32)
      (call $deep (local.get $n)) (call $spin)))]]

  local function open_spinning()
    local app = { done = false }
    local opened = guest.open(spinning, {
      imports = function(lunette)
        return { lunette.host("env", {
          work = { function() app.worked = (app.worked or 0) + spend(20000) end },
          done = { results = { "i32" }, function() return app.done and 1 or 0 end },
        }) }
      end,
    })
    app.lunette, app.instance, app.messages = opened.lunette, opened.instance, opened.messages
    return app
  end

  -- Calls f once, from a timer, at a safepoint of the call of spin that is open.
  local function at_safepoint(app, f)
    app.lunette.on("spin", function()
      app.lunette.delay(0, function()
        f()
        app.done = true
      end)
    end)
  end

  it("of guest code that a timer calls at a safepoint is that call's own, and nobody else's", function()
    local app = open_spinning()
    local inside = 0
    at_safepoint(app, function()
      local start = clock()
      app.instance:invoke("deep", 1)
      inside = clock() - start
    end)
    local rows = timed(app, { "spin", "deep" })
    local start = clock()
    app.instance:invoke("spin")
    local all = clock() - start
    local inner, outer, spin = table.unpack(rows)
    assert.same({ "deep", "deep", "spin" }, { inner.name, outer.name, spin.name })
    assert.same({ outer.id, spin.id }, { inner.parent, outer.parent })
    assert.equal(outer.elapsed - inner.elapsed, outer.own)
    assert.is_true(inner.elapsed >= app.worked)
    assert.equal(spin.elapsed, spin.own)
    assert.is_true(spin.elapsed + inside <= all)
  end)

  it("of guest code that is called when a memory grows is that call's own, and nobody else's", function()
    local opened = guest.open([[(module (memory 1)
      (func (export "leaf"))
      (func (export "grows") (drop (memory.grow (i32.const 1)))))]])
    opened.lunette.on_grow(function() opened.instance:invoke("leaf") end)
    local rows = timed(opened, "*")
    opened.instance:invoke("grows")
    assert.same({ "leaf", "grows" }, { rows[1].name, rows[2].name })
    assert.equal(rows[2].elapsed, rows[2].own)
  end)

  it("is summed once for calls inside one another, behind a safepoint as well", function()
    local app = open_spinning()
    at_safepoint(app, function() app.instance:invoke("deep", 3) end)
    local sum = app.lunette.sum({ by = "name", value = app.lunette.elapsed, quiet = true })
    app.lunette.on("deep", sum)
    local rows = timed(app, "deep")
    app.instance:invoke("within", 2)
    assert.equal(3 + 4, #rows)
    assert.equal(rows[3].elapsed + rows[7].elapsed, sum:table()[1].sum)
  end)

  it("is summed once where a timer calls what is open", function()
    local app = open_spinning()
    local sum = app.lunette.sum({ by = "module", value = app.lunette.elapsed, quiet = true })
    app.lunette.on("*", sum)
    local rows = timed(app, "*")
    at_safepoint(app, function() app.instance:invoke("deep", 3) end)
    app.instance:invoke("within", 2)
    local whole, spin = 0, nil
    for _, row in ipairs(rows) do spin = row.name == "spin" and row or spin end
    for _, row in ipairs(rows) do
      if row.name == "within" or (row.name == "deep" and row.parent == spin.id) then whole = whole + row.elapsed end
    end
    assert.equal(whole, sum:table()[1].sum)
  end)

  it("of a sample is estimated once for calls inside one another", function()
    local app = open_spinning()
    local where = { name = "deep", sample = 2, seed = 12 }
    local sum = app.lunette.sum({ by = "name", value = app.lunette.elapsed, quiet = true })
    app.lunette.on(where, sum)
    local chosen, expected, count = {}, 0, 0
    app.lunette.on(where, function(call) chosen[call.id] = true end)
    local rows = timed(app, "deep")
    app.instance:invoke("deep", 40)
    for _, row in ipairs(rows) do
      if chosen[row.id] then expected, count = expected + 2 * row.own, count + 2 end
    end
    assert.is_true(count > 10 and count < 70)
    assert.equal(expected, sum:table()[1].sum)
  end)

  it("can be asked for while calls are open, and given up", function()
    local app = open()
    local rows, attachment
    local once = app.lunette.on("middle", function()
      rows = rows or timed(app, "*")
    end)
    app.instance:invoke("outer")
    once:detach()
    assert.equal("work", rows[1].name)
    for _, row in ipairs(rows) do assert.is_not.equal("outer", row.name) end
    local after_detach = {}
    attachment = app.lunette.on("outer", {
      before = function() attachment:detach() end,
      after = function(call) after_detach[#after_detach + 1] = call.elapsed end,
    }, { time = true })
    app.instance:invoke("outer")
    assert.equal(1, #after_detach)
    assert.is_true(after_detach[1] > 0)
  end)

  it("is in call:keep(), where it was asked for", function()
    local app = open()
    local kept = {}
    app.lunette.on("leaf", {
      before = function(call) kept[1] = call:keep() end,
      after = function(call) kept[2] = call:keep() end,
    }, { time = true })
    app.lunette.on("leaf", function(call) kept[3] = call:keep() end)
    app.instance:invoke("leaf")
    assert.is_true(kept[1].time <= kept[2].time)
    assert.is_nil(kept[1].elapsed)
    assert.equal(kept[2].elapsed, kept[2].self_time)
    assert.is_nil(kept[3].time)
  end)

  it("is no option of another name", function()
    local app = open()
    assert.is_truthy(guest.failure(app.lunette.on, "*", print, { times = true }):find("did you mean 'time'?", 1, true))
  end)
end)

describe("R21 time in C", function()
  it("holds to the same", function()
    local files = require("spec.support.files")
    local folder <close> = files.temporary()
    files.write(folder .. "/rules.wasm", wat(files.read("spec/c/rules.wat")))
    assert.matches("^%d+ checks, 0 failed\n$", require("spec.support.c")("times", folder .. "/rules.wasm"))
  end)
end)
