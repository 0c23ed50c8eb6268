-- SPDX-License-Identifier: MIT
-- Aggregations: what they count is held against sums that the specs make themselves, of the same calls.

local c = require("spec.support.c")
local files = require("spec.support.files")
local guest = require("spec.support.guest")
local wat = require("spec.support.wat")

after_each(guest.close_all)

local text = [[(module
  (memory (export "memory") 1)
  (func $f (export "f") (param $n i32) (result i32) (i32.mul (local.get $n) (i32.const 2)))
  (func $wide (export "wide") (param i64))
  (func $real (export "real") (param f64))
  (func $pair (export "pair") (param f32) (param v128) (param i32))
  (func $leaf (export "leaf"))
  (func $a (export "a") (call $leaf) (call $leaf))
  (func $b (export "b") (call $leaf))
  (func $nest (export "nest") (param i32) (if (local.get 0) (then (call $nest (i32.sub (local.get 0) (i32.const 1))))))
  (func $trap (export "trap") (call $leaf) unreachable)
  (func $tail (export "tail") (result i32) (return_call $f (i32.const 1)))
  (func $open (export "open") (param i32) (result i32) (local.get 0))
  (func $close (export "close") (param i32)))]]

-- What nobody prints goes nowhere.
local function open(options)
  options = options or {}
  options.session = options.session or {}
  options.session.output = "/dev/null"
  local app = guest.open(text, options)
  app.call = function(...) return app.instance:invoke(...) end
  return app
end

-- key → field of the rows.
local function by_key(aggregation, field)
  local found = {}
  for _, row in ipairs(aggregation:table()) do
    found[#row.keys > 1 and table.concat(row.keys, "/") or row.key or "all"] = row[field or "calls"]
  end
  return found
end

local function near(expected, got, share)
  assert(math.abs(got - expected) <= math.abs(expected) * share, ("%s is not within %s of %s"):format(got, share, expected))
end

describe("count", function()
  it("counts calls by function, and none of those that were not made", function()
    local app = open()
    local count = app.lunette.count()
    local attachment = app.lunette.on("*", count)
    app.call("a")
    app.call("b")
    assert.same({ a = 1, b = 1, leaf = 3 }, by_key(count))
    attachment:detach()
    app.call("a")
    assert.same({ a = 1, b = 1, leaf = 3 }, by_key(count))
  end)

  it("counts by caller, argument, result, module and lists of them", function()
    local app = open()
    local lunette = app.lunette
    local caller = lunette.count{ by = "caller" }
    local argument = lunette.count{ by = lunette.arg("n") }
    local result = lunette.count{ by = lunette.result(1) }
    local both = lunette.count{ by = { "module", "name", lunette.arg(1) } }
    lunette.on("leaf", caller)
    for _, one in ipairs({ argument, result, both }) do lunette.on("f", one) end
    app.call("a")
    app.call("b")
    app.call("leaf")
    for _, n in ipairs({ 3, -1, 3 }) do app.call("f", n) end
    assert.same({ a = 2, b = 1, ["(host)"] = 1 }, by_key(caller))
    assert.same({ [3] = 2, [-1] = 1 }, by_key(argument))
    assert.same({ [6] = 2, [-2] = 1 }, by_key(result))
    assert.same({ ["app/f/3"] = 2, ["app/f/-1"] = 1 }, by_key(both))
  end)

  it("counts by instance, and by source file", function()
    local app = open({ name = "first" })
    local instances, sources = app.lunette.count{ by = "instance" }, app.lunette.count{ by = "file" }
    app.lunette.on("leaf", instances)
    app.lunette.on("leaf", sources)
    local second = app.lunette.instantiate(app.module, { name = "second" })
    app.call("a")
    second:invoke("b")
    assert.same({ first = 2, second = 1 }, by_key(instances))
    assert.same({ ["(unknown)"] = 3 }, by_key(sources)) -- it has no debug information
  end)

  it("has one row without keys", function()
    local app = open()
    local count = app.lunette.count{ by = {} }
    app.lunette.on("*", count)
    app.call("a")
    assert.equal(3, count:table()[1].calls)
    assert.is_nil(count:table()[1].key)
  end)

  it("counts a call that traps, and none that is refused: R3", function()
    local app = open({ session = { stack = 65536 } })
    local count = app.lunette.count()
    local heard = 0
    app.lunette.on("nest", function() heard = heard + 1 end)
    app.lunette.on({ "nest", "trap" }, count)
    assert.equal("trap", guest.failure(app.call, "trap").kind)
    assert.equal("exhausted", guest.failure(app.call, "nest", 10000000).kind)
    assert.same({ nest = heard, trap = 1 }, by_key(count))
  end)

  it("leaves the guest's results and its exhaustion as they are: R24", function()
    local function deepest(listen)
      local app = open({ session = { stack = 65536 } })
      if listen then app.lunette.on("*", app.lunette.count()) end
      local low, high = 1, 100000
      while low + 1 < high do
        local middle = (low + high) // 2
        if pcall(app.call, "nest", middle) then low = middle else high = middle end
      end
      return low
    end
    assert.equal(deepest(false), deepest(true))
  end)

  it("goes on beside listeners that are attached and detached while it counts", function()
    local app = open()
    local count = app.lunette.count()
    app.lunette.on("leaf", count)
    app.call("a")
    local heard = 0
    local attachment = app.lunette.on("leaf", function() heard = heard + 1 end)
    app.call("a")
    attachment:detach()
    app.call("a")
    assert.same({ leaf = 6 }, by_key(count))
    assert.equal(2, heard)
  end)

  it("hears nothing while its attachment is paused", function()
    local app = open()
    local count = app.lunette.count()
    local attachment = app.lunette.on("leaf", count)
    attachment:pause()
    app.call("a")
    attachment:resume()
    app.call("b")
    assert.same({ leaf = 1 }, by_key(count))
  end)

  it("is what a factory may answer", function()
    local app = open()
    local count = app.lunette.count()
    app.lunette.factory(function(definition) return definition.name ~= "leaf" and count or nil end)
    app.call("a")
    assert.same({ a = 1 }, by_key(count))
    local latency = app.lunette.latency()
    assert.matches("needs the option time=true", guest.failure(app.lunette.factory, function() return latency end))
  end)
end)

describe("values", function()
  it("are signed by their type, and unsigned on request", function()
    local app = open()
    local lunette = app.lunette
    local signed, unsigned = lunette.sum{ value = lunette.arg(1) }, lunette.sum{ value = lunette.arg(1):u() }
    lunette.on({ "f", "wide" }, signed)
    lunette.on({ "f", "wide" }, unsigned)
    app.call("f", -1)
    app.call("wide", -2)
    assert.same({ f = -1, wide = -2 }, by_key(signed, "sum"))
    assert.same({ f = 0xffffffff, wide = 2.0 ^ 64 }, by_key(unsigned, "sum"))
  end)

  it("are found behind a vector, of which there is none", function()
    local app = open()
    local lunette = app.lunette
    local third, second = lunette.sum{ value = lunette.arg(3) }, lunette.count{ by = lunette.arg(2) }
    local first = lunette.avg{ value = lunette.arg(1) }
    for _, one in ipairs({ third, second, first }) do lunette.on("pair", one) end
    app.call("pair", 1.5, ("\0"):rep(16), 7)
    assert.same({ pair = 7 }, by_key(third, "sum"))
    assert.same({ pair = 1.5 }, by_key(first, "avg"))
    assert.equal(0, second.rows)
  end)

  it("of calls that end in a tail call, or in a trap, have no result", function()
    local app = open()
    local lunette = app.lunette
    local results, ends = lunette.sum{ value = lunette.result(1) }, lunette.latency()
    lunette.on({ "tail", "f" }, results)
    lunette.on({ "trap", "leaf" }, ends)
    assert.equal(2, app.call("tail"))
    assert.is_false(pcall(app.call, "trap"))
    assert.same({ f = 1 }, by_key(results))
    assert.same({ trap = 1, leaf = 1 }, by_key(ends))
  end)

  it("of the depth and the memory are known", function()
    local app = open()
    local lunette = app.lunette
    local depth, memory = lunette.max{ value = lunette.stack_depth }, lunette.max{ value = lunette.memory_size }
    lunette.on("nest", depth)
    lunette.on("nest", memory)
    app.call("nest", 5)
    assert.same({ nest = 5 }, by_key(depth, "max"))
    assert.same({ nest = 65536 }, by_key(memory, "max"))
  end)

  it("of arguments are those that were passed, at the end, too: R11", function()
    local app = open()
    local lunette = app.lunette
    local seen = lunette.count{ by = { lunette.arg(1), lunette.result(1) } }
    lunette.on("f", seen)
    app.call("f", 21)
    assert.same({ ["21/42"] = 1 }, by_key(seen))
  end)
end)

describe("sums", function()
  local function of(kind, values, entry)
    local app = open()
    local own = app.lunette[kind]{ value = app.lunette.arg(1), by = {} }
    app.lunette.on(entry or "f", own)
    for _, value in ipairs(values) do app.call(entry or "f", value) end
    return own:table()[1]
  end

  it("are exact for integers, and become floats where they do not fit", function()
    assert.equal(6, of("sum", { 1, 2, 3 }).sum)
    assert.equal(math.maxinteger, of("sum", { math.maxinteger, 0 }, "wide").sum)
    near(2.0 ^ 64, of("sum", { math.maxinteger, math.maxinteger, 2 }, "wide").sum, 1e-12)
    assert.equal(0.75, of("sum", { 0.5, 0.25 }, "real").sum)
  end)

  it("know the smallest, the largest and the mean", function()
    assert.equal(-7, of("min", { 3, -7, 5 }).min)
    assert.equal(5, of("max", { 3, -7, 5 }).max)
    near(1 / 3, of("avg", { 3, -7, 5 }).avg, 1e-12)
    assert.equal(-0.5, of("min", { 2.0, -0.5 }, "real").min)
  end)

  it("leave a NaN out", function()
    local row = of("stats", { 1.0, 0 / 0, 3.0 }, "real")
    assert.equal(2, row.calls)
    assert.equal(4.0, row.sum)
  end)

  it("have the deviation of their values", function()
    local values, sum = {}, 0
    for i = 1, 100 do values[i], sum = (i * 7919) % 101, sum + (i * 7919) % 101 end
    local squares = 0
    for _, value in ipairs(values) do squares = squares + (value - sum / 100) ^ 2 end
    local row = of("stats", values)
    assert.equal(sum, row.sum)
    near(sum / 100, row.avg, 1e-12)
    near(math.sqrt(squares / 100), row.stddev, 1e-9)
  end)
end)

describe("hist", function()
  local function buckets(values, entry, kind, options)
    local app = open()
    local given = { value = app.lunette.arg(1), by = {} }
    for name, value in pairs(options or {}) do given[name] = value end
    local own = app.lunette[kind or "hist"](given)
    app.lunette.on(entry or "f", own)
    for _, value in ipairs(values) do app.call(entry or "f", value) end
    local shown = {}
    for i, bucket in ipairs(own:table()[1].buckets) do shown[i] = { bucket.low, bucket.high, bucket.count } end
    return shown
  end

  it("counts by powers of two, the empty ones between them shown", function()
    assert.same({ { 0, 0, 2 }, { 1, 2, 1 }, { 2, 4, 2 }, { 4, 8, 0 }, { 8, 16, 1 } }, buckets({ 0, 0, 1, 2, 3, 8 }))
  end)

  it("holds the largest integers, and each power of two begins a bucket", function()
    local all = buckets({ math.maxinteger, 1 << 62, (1 << 62) - 1 }, "wide")
    assert.equal(2, #all)
    assert.equal(1, all[1][3])
    assert.equal(2, all[2][3])
  end)

  it("counts negative values by their size", function()
    assert.same({ { -16, -8, 1 }, { -8, -4, 0 }, { -4, -2, 1 }, { -2, -1, 1 }, { 0, 0, 0 }, { 1, 2, 1 } },
      buckets({ -1, -3, -8, 1 }))
    assert.equal(1, #buckets({ math.mininteger }, "wide"))
  end)

  it("counts floats below one", function()
    assert.same({ { 0.25, 0.5, 1 }, { 0.5, 1.0, 0 }, { 1.0, 2.0, 1 } }, buckets({ 0.3, 1.5 }, "real"))
    assert.equal(1, #buckets({ math.huge }, "real"))
  end)

  it("in equal steps has one bucket for all that is below, and one for all above", function()
    assert.same({ { -math.huge, 0, 1 }, { 0, 10, 2 }, { 10, 20, 0 }, { 20, 25, 1 }, { 25, math.huge, 2 } },
      buckets({ -5, 0, 9, 24, 25, 1000 }, "f", "lhist", { from = 0, to = 25, step = 10 }))
  end)
end)

describe("quantile", function()
  local shares = { 0, 0.01, 0.25, 0.5, 0.9, 0.99, 0.999, 1 }

  local function check(values, entry)
    local app = open()
    local own = app.lunette.quantile{ value = app.lunette.arg(1), by = {}, q = shares, quiet = true }
    app.lunette.on(entry, own)
    for _, value in ipairs(values) do app.call(entry, value) end
    local row = own:table()[1]
    table.sort(values)
    for _, q in ipairs(shares) do
      near(values[math.max(1, math.ceil(q * #values))], row.quantiles[q], 0.01)
    end
    assert.equal(values[1], row.min)
    assert.equal(values[#values], row.max)
  end

  it("is within one percent of the exact one", function()
    math.randomseed(12)
    local even, wide, real, signed = {}, {}, {}, {}
    for i = 1, 4000 do
      even[i] = math.random(0, 1000)
      wide[i] = math.floor(math.exp(math.random() * 40))
      real[i] = math.exp((math.random() - 0.5) * 60)
      signed[i] = math.random(-100000, 100000)
    end
    check(even, "f")
    check(wide, "wide")
    check(real, "real")
    check(signed, "f")
  end)

  it("of few small integers is exact", function()
    local app = open()
    local own = app.lunette.quantile{ value = app.lunette.arg(1), q = { 0.5 } }
    app.lunette.on("f", own)
    for _, value in ipairs({ 5, 7, 100, 101, 3 }) do app.call("f", value) end
    assert.equal(7, own:table()[1].quantiles[0.5])
  end)
end)

describe("latency", function()
  it("counts each call once, its total no more than what has passed outside", function()
    local app = open()
    local latency = app.lunette.latency()
    local own_time = app.lunette.sum{ value = app.lunette.self_time, by = {} }
    app.lunette.on("nest", latency)
    app.lunette.on("nest", own_time)
    local clock = require("lunette.core").monotonic_ns
    local start = clock()
    app.call("nest", 50)
    local passed = clock() - start
    local row = latency:table()[1]
    assert.equal(51, row.calls)
    assert.is_true(row.max <= passed and row.min >= 0 and row.quantiles[0.5] <= row.max)
    -- Self times add up to the outermost call's.
    assert.is_true(own_time:table()[1].sum <= passed)
  end)
end)

-- What a listener sees of the same calls: the elapsed time of all of them, and of those that no other one is around.
local function hear_times(app, where)
  local heard = { calls = 0, all = 0, outermost = 0, open = 0 }
  local function ends(call)
    heard.open = heard.open - 1
    heard.calls, heard.all = heard.calls + 1, heard.all + call.elapsed
    if heard.open == 0 then heard.outermost = heard.outermost + call.elapsed end
  end
  app.lunette.on(where, { before = function() heard.open = heard.open + 1 end, after = ends, abort = ends }, { time = true })
  return heard
end

describe("whole times", function()
  it("of a function that calls itself are summed once, the outermost's; calls and mean are of each", function()
    local app = open()
    local latency, sum = app.lunette.latency(), app.lunette.sum{ value = app.lunette.elapsed }
    app.lunette.on("nest", latency)
    app.lunette.on("nest", sum)
    local heard = hear_times(app, "nest")
    app.call("nest", 20)
    app.call("nest", 0)
    for _, own in ipairs({ latency, sum }) do
      local row = own:table()[1]
      assert.same({ 22, heard.outermost, heard.all - heard.outermost }, { row.calls, row.sum, row.nested })
      near(heard.all / 22, row.avg, 1e-9)
    end
  end)

  it("under a key that several functions have are summed once, too", function()
    local app = open()
    local latency = app.lunette.latency{ by = "module" }
    app.lunette.on({ "a", "b", "leaf" }, latency)
    local heard = hear_times(app, { "a", "b", "leaf" })
    app.call("a")
    app.call("leaf")
    assert.same({ app = heard.outermost }, by_key(latency, "sum"))
    assert.same({ app = 4 }, by_key(latency))
  end)

  it("of one function each do not know of the others", function()
    local app = open()
    local latency = app.lunette.latency()
    app.lunette.on({ "a", "leaf" }, latency)
    local heard = hear_times(app, "a")
    app.call("a")
    assert.equal(heard.all, by_key(latency, "sum").a)
    assert.same({ a = 1, leaf = 2 }, by_key(latency))
  end)

  it("that a trap ends are summed in the same way", function()
    local app = open({ session = { stack = 65536 } })
    local latency = app.lunette.latency()
    app.lunette.on("nest", latency)
    local heard = hear_times(app, "nest")
    assert.equal("exhausted", guest.failure(app.call, "nest", 10000000).kind)
    assert.same({ nest = heard.outermost }, by_key(latency, "sum"))
    assert.same({ nest = heard.calls }, by_key(latency))
  end)

  it("of calls that a predicate leaves out do not hide those in them", function()
    local app = open()
    local latency = app.lunette.latency{ when = app.lunette.arg(1):lt(3) }
    app.lunette.on("nest", latency)
    local third
    app.lunette.on("nest", { after = function(call) if call:param(1) == 2 then third = call.elapsed end end },
      { time = true, params = true })
    app.call("nest", 5)
    assert.same({ nest = third }, by_key(latency, "sum"))
    assert.same({ nest = 3 }, by_key(latency))
  end)

  it("counted before a reset are not counted after it", function()
    local app = open()
    local latency = app.lunette.latency()
    app.lunette.on("nest", latency)
    local first, last
    app.lunette.on("nest", { after = function(call)
      if call:param(1) == 3 then
        first = by_key(latency, "sum").nest
        latency:reset()
      elseif call:param(1) == 5 then
        last = call.elapsed
      end
    end }, { time = true, params = true })
    app.call("nest", 5)
    -- The listener hears each end before the aggregation does: at that of 3 it has counted those of 0, 1 and 2.
    assert.equal(last, first + by_key(latency, "sum").nest)
    assert.same({ nest = 3 }, by_key(latency))
  end)

  it("under keys that differ from call to call are those of each call", function()
    local app = open()
    local latency = app.lunette.latency{ by = app.lunette.arg(1) }
    app.lunette.on("nest", latency)
    local heard = hear_times(app, "nest")
    app.call("nest", 4)
    local sum = 0
    for _, row in ipairs(latency:table()) do sum = sum + row.sum end
    assert.equal(heard.all, sum)
  end)

  it("are there twice in one attachment, as a factory can answer", function()
    local app = open()
    local by_name, by_module = app.lunette.latency(), app.lunette.latency{ by = "module" }
    local lunette = app.lunette
    lunette.factory(lunette.multi(function() return by_name end, function() return by_module end),
      { where = { "nest", "leaf" }, time = true })
    local heard = hear_times(app, "nest")
    app.call("nest", 3)
    assert.same({ nest = heard.outermost }, by_key(by_name, "sum"))
    assert.same({ app = heard.outermost }, by_key(by_module, "sum"))
  end)

  it("add up in OpenMetrics to what was observed", function()
    local app = open()
    local latency = app.lunette.latency{ q = {} }
    app.lunette.on("nest", latency)
    local heard = hear_times(app, "nest")
    app.call("nest", 3)
    local sum = latency:text({ format = "openmetrics" }):match('_sum{function="nest"} (%S+)')
    near(heard.all / 1e9, tonumber(sum), 1e-12)
  end)
end)

describe("the order of rows", function()
  it("can be that of a quantile", function()
    local app = open()
    local own = app.lunette.quantile{ value = app.lunette.arg(1), q = { 0.5, 0.999 } }
    app.lunette.on({ "f", "open" }, own)
    for _, value in ipairs({ 1, 1, 9 }) do app.call("f", value) end
    for _, value in ipairs({ 5, 5, 5 }) do app.call("open", value) end
    local function first(sort) return own:text({ sort = sort, top = 1, format = "csv" }):match("\r\n(%a+),") end
    assert.same({ "open", "f" }, { first("p50"), first("p99.9") })
  end)
end)

describe("balance", function()
  it("shows the keys that were opened and not closed, or the other way round", function()
    local app = open()
    local balance = app.lunette.balance("open", "close", { open = app.lunette.result(1), close = app.lunette.arg(1) })
    for i = 1, 1000 do app.call("open", i) end
    for i = 1, 1000 do
      if i ~= 17 then app.call("close", i) end
    end
    app.call("close", 5000)
    assert.same({ [17] = 1, [5000] = -1 }, by_key(balance, "open"))
    assert.equal([[
open  opened  closed  result 1
   1       1       0  17        ##############################
  -1       0       1  5000
1000 opened, 1000 closed
]], balance:text())
  end)

  it("keeps nothing of what is even", function()
    local app = open()
    local balance = app.lunette.balance("open", "close", { key = app.lunette.arg(1), budget = "4K" })
    for i = 1, 2000 do
      app.call("open", i)
      app.call("close", i)
    end
    assert.equal(0, balance.rows)
    assert.equal(0, balance.left_out)
  end)
end)

describe("a budget", function()
  it("is said once to be used up; what it left out is counted, what it had goes on", function()
    local app = open()
    local count = app.lunette.count{ by = app.lunette.arg(1), budget = "16K", name = "values" }
    app.lunette.on("f", count)
    for i = 1, 1000 do app.call("f", i) end
    local rows = count.rows
    assert.is_true(rows > 10 and rows < 1000)
    assert.equal(1000 - rows, count.left_out)
    assert.is_true(count.bytes <= count.budget)
    for _ = 1, 5 do app.call("f", 1) end
    assert.equal(6, by_key(count)[1])
    assert.equal(1, #app.messages)
    assert.matches("^values: its budget of 16384 bytes is used up", app.messages[1])
    assert.matches("left out: %d+ calls, beyond a budget of 16384 bytes\n$", count:text())
  end)

  it("of the default size holds thousands of keys", function()
    local app = open()
    local hist = app.lunette.hist{ by = app.lunette.arg(1), value = app.lunette.result(1), quiet = true }
    app.lunette.on("f", hist)
    for i = 1, 5000 do app.call("f", i) end
    assert.equal(5000, hist.rows)
    assert.equal(0, hist.left_out)
  end)
end)

describe("reset and merge", function()
  it("begin anew, and add up", function()
    local app, other = open(), open()
    local lunette = app.lunette
    local mine = lunette.stats{ value = lunette.arg(1) }
    local theirs = other.lunette.stats{ value = other.lunette.arg(1) }
    lunette.on("f", mine)
    other.lunette.on("f", theirs)
    for _, value in ipairs({ 1, 2 }) do app.call("f", value) end
    for _, value in ipairs({ 10, 40, -3 }) do other.call("f", value) end
    assert.equal(mine, mine:merge(theirs))
    local row = mine:table()[1]
    assert.same({ 5, 50, -3, 40, 10.0 }, { row.calls, row.sum, row.min, row.max, row.avg })
    near(math.sqrt((81 + 64 + 0 + 900 + 169) / 5), row.stddev, 1e-9)
    mine:reset()
    assert.equal(0, mine.rows)
    app.call("f", 9)
    assert.same({ f = 9 }, by_key(mine, "sum"))
  end)

  it("of histograms add up bucket by bucket", function()
    local app = open()
    local lunette = app.lunette
    local first, second = lunette.hist{ value = lunette.arg(1) }, lunette.hist{ value = lunette.arg(1) }
    lunette.on("f", first)
    app.call("f", 1)
    lunette.on("f", second)
    app.call("f", 1)
    app.call("f", -100)
    local buckets = first:merge(second):table()[1].buckets
    assert.equal(3, buckets[#buckets].count)
    assert.equal(2, buckets[1].count)
  end)

  it("is refused where the two are not alike", function()
    local app = open()
    local lunette = app.lunette
    assert.matches("merge: only aggregations of one kind", guest.failure(function()
      lunette.count():merge(lunette.count{ by = "caller" })
    end))
  end)
end)

describe("what makes no sense", function()
  local cases = {
    { function(l) l.count{ by = "nmae" } end, "count: by cannot be \"nmae\"; did you mean 'name'%?" },
    { function(l) l.count{ bye = "name" } end, "count: no such option: bye; did you mean 'by'%?" },
    { function(l) l.hist{} end, "hist: value: lunette.arg%(n%) or another value of a call expected, got nil" },
    { function(l) l.hist{ value = l.caller } end, "the value of hist must be a number" },
    { function(l) l.lhist{ value = l.arg(1), from = 0, to = 10, step = 0 } end, "lhist needs from < to and a step above 0" },
    { function(l) l.lhist{ value = l.arg(1), from = 0, to = 1e9, step = 1 } end, "lhist has at most 10000 steps" },
    { function(l) l.count{ when = 3 } end, "count: when: a predicate expected" },
    { function(l) l.count{ budget = "much" } end, "count: budget: bytes expected" },
    { function(l) l.arg(0) end, "arg: a number from 1 expected, got 0" },
    { function(l) l.arg(1):gtt(3) end, "reading:gtt: no such method; did you mean 'gt'%?" },
    { function(l) l.count{ when = l.arg(1):glob("x") } end, "glob compares names" },
    { function(l) l.count{ when = l.caller:gt(1) } end, "a name can be compared by eq, ne and glob" },
    { function(l) l.count{ when = l.caller:glob("[a") } end, "this %[ has no %]" },
    { function(l) l.count():print{ format = "xml" } end, "print: no such format: xml" },
    { function(l) l.count():print{ sort = "size" } end, "print: count cannot be sorted by size" },
    { function(l) l.latency():print{ sort = "p95" } end, "print: latency cannot be sorted by p95" },
    { function(l) l.quantile{ value = l.arg(1), q = { 50 } } end, "quantile: q: shares from 0 to 1 expected" },
    { function(l) l.balance("a") end, "balance: two wheres expected" },
  }
  for _, case in ipairs(cases) do
    it("is an error: " .. case[2], function()
      assert.matches(case[2], guest.failure(case[1], guest.session({ output = "/dev/null" })))
    end)
  end

  it("is an error that names the script's line", function()
    local app = open()
    assert.matches("^[^\n]*aggregate_spec.lua:%d+: ", guest.failure(function() app.lunette.count{ by = "nmae" } end))
  end)
end)

describe("the library's door", function()
  it("counts, merges and refuses as it says", function()
    local folder <close> = files.temporary()
    files.write(folder .. "/guest.wasm", wat(text))
    assert.equal("well\n", c("aggregates", folder .. "/guest.wasm"))
  end)
end)
