-- SPDX-License-Identifier: MIT
-- What a where asks of each call: caller, frames further out, depth, predicates, samples, times.

local guest = require("spec.support.guest")

after_each(guest.close_all)

local text = [[(module
  (import "env" "again" (func $again))
  (func $leaf (export "leaf") (param $n i32) (result i32) (local.get $n))
  (func $a (export "a") (drop (call $leaf (i32.const 1))) (call $b))
  (func $b (export "b") (drop (call $leaf (i32.const 2))))
  (func $deep (export "deep") (param i32)
    (if (local.get 0) (then (call $deep (i32.sub (local.get 0) (i32.const 1)))) (else (call $b))))
  (func $slow (export "slow") (param i32) (local $i i32)
    (loop $l (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $l (i32.lt_u (local.get $i) (local.get 0)))))
  (func $trap (export "trap") (param i32) (drop (call $leaf (local.get 0))) unreachable)
  (func $enters (export "enters") (call $again)))]]

local function open()
  local app
  app = guest.open(text, {
    session = { output = "/dev/null" },
    imports = function(lunette)
      return { lunette.host("env", { again = { function() app.instance:invoke("b") end } }) }
    end,
  })
  app.call = function(...) return app.instance:invoke(...) end
  return app
end

-- What a before of leaf hears of the arguments, under the condition.
local function heard(app, condition)
  local list = {}
  condition.name = condition.name or "leaf"
  app.lunette.on(condition, function(_, n) list[#list + 1] = n or "?" end)
  return list
end

describe("a where", function()
  it("asks for the caller", function()
    local app = open()
    local from_a, from_host = heard(app, { caller = "a" }), heard(app, { caller = { "*", "!b" } })
    app.call("a")
    app.call("leaf", 7)
    assert.same({ 1 }, from_a)
    assert.same({ 1 }, from_host)
  end)

  it("asks for frames further out, through host functions, and not for the call itself", function()
    local app = open()
    local under_a, under_enters, under_leaf =
      heard(app, { under = "a" }), heard(app, { under = "enters" }), heard(app, { under = "leaf" })
    app.call("a")
    app.call("b")
    app.call("enters")
    assert.same({ 1, 2 }, under_a)
    assert.same({ 2 }, under_enters)
    assert.same({}, under_leaf)
  end)

  it("asks for the depth", function()
    local app = open()
    local first, some = heard(app, { name = "deep", depth = 0 }), heard(app, { name = "deep", depth = { 2, 3 } })
    app.call("deep", 5)
    assert.same({ 5 }, first)
    assert.same({ 3, 2 }, some)
  end)

  it("asks a predicate on arguments", function()
    local app = open()
    local arg = app.lunette.arg
    local cases = {
      { arg(1):gt(2), { 3, 4 } }, { arg("n"):ge(3), { 3, 4 } }, { arg(1):lt(2), { 0, 1, -1 } }, { arg(1):le(1), { 0, 1, -1 } },
      { arg(1):eq(3), { 3 } }, { arg(1):ne(3), { 0, 1, 2, 4, -1 } }, { arg(1):between(1, 3), { 1, 2, 3 } },
      { arg(1):has(2), { 2, 3, -1 } }, { arg(1):u():gt(0x7fffffff), { -1 } }, { arg(1):gt(0.5) & arg(1):lt(2.5), { 1, 2 } },
      { arg(1):lt(1) | arg(1):gt(3), { 0, 4, -1 } }, { ~arg(1):between(0, 3), { 4, -1 } },
      { arg(2):gt(0), {} }, { ~arg(2):gt(0), { 0, 1, 2, 3, 4, -1 } },
      { ~(arg(1):gt(1) | arg(1):lt(0)) & app.lunette.caller:ne("a"), { 0, 1 } },
    }
    local lists = {}
    for i, case in ipairs(cases) do lists[i] = heard(app, { when = case[1] }) end
    for _, n in ipairs({ 0, 1, 2, 3, 4, -1 }) do app.call("leaf", n) end
    for i, case in ipairs(cases) do assert.same(case[2], lists[i], "case " .. i) end
  end)

  it("asks a predicate on names, once for each function", function()
    local app = open()
    local count = app.lunette.count()
    app.lunette.on({ name = "*", when = app.lunette.caller:glob("a*") }, count)
    local never = app.lunette.on({ name = "deep", when = app.lunette.arg(3):gt(0) }, print)
    app.call("a")
    local rows = {}
    for _, row in ipairs(count:table()) do rows[row.key] = row.calls end
    assert.same({ leaf = 1, b = 1 }, rows)
    assert.equal(0, never.functions)
    assert.matches("^where name=\"deep\" when=predicate matches no function", app.messages[1])
  end)

  it("judges results and times at the end, traps among them, in pairs of none", function()
    local app = open()
    local results, ends = {}, {}
    local attachment = app.lunette.on({ name = "leaf", when = app.lunette.result(1):gt(2) & app.lunette.arg(1):lt(9) },
      { after = function(call, value) results[#results + 1] = value .. "/" .. call:param(1) end }, { params = true })
    app.lunette.on({ name = { "trap", "leaf" }, min_time = 1 }, {
      after = function(call) ends[#ends + 1] = call.name .. " " .. tostring(call.elapsed >= 1) end,
      abort = function(call, err) ends[#ends + 1] = call.name .. " " .. err.kind end,
    })
    for _, n in ipairs({ 1, 5, 20, 3 }) do app.call("leaf", n) end
    assert.is_false(pcall(app.call, "trap", 0))
    assert.same({ "5/5", "3/3" }, results)
    assert.equal(2, attachment.calls)
    assert.equal("trap trap", ends[#ends])
    assert.equal("leaf true", ends[1])
  end)

  it("hears no call that was faster than its min_time", function()
    local app = open()
    local slow, all = 0, app.lunette.latency{ quiet = true }
    app.lunette.on({ name = "slow", min_time = "1000s" }, { after = function() slow = slow + 1 end })
    app.lunette.on("slow", all)
    app.call("slow", 100)
    assert.equal(0, slow)
    assert.equal(1, all:table()[1].calls)
  end)

  it("counts at the end what it judges there", function()
    local app = open()
    local large = app.lunette.count{ by = app.lunette.arg(1) }
    app.lunette.on({ name = "leaf", when = app.lunette.result(1):gt(2) }, large)
    for _, n in ipairs({ 1, 5, 5, 3 }) do app.call("leaf", n) end
    local rows = {}
    for _, row in ipairs(large:table()) do rows[row.key] = row.calls end
    assert.same({ [5] = 2, [3] = 1 }, rows)
  end)

  it("samples by chance: the same seed, the same calls, and a weight that scales them back", function()
    local function chosen(seed)
      local app = open()
      local list, weight = {}, 0
      local count = app.lunette.count()
      app.lunette.on({ name = "leaf", sample = 10, seed = seed }, function(call, n)
        list[#list + 1], weight = n, call.weight
      end)
      app.lunette.on({ name = "leaf", sample = 10, seed = seed }, count)
      for n = 1, 5000 do app.call("leaf", n) end
      assert.equal(10, weight)
      assert.equal(10 * #list, count:table()[1].calls)
      return list
    end
    local first = chosen(7)
    assert.same(first, chosen(7))
    assert.not_same(first, chosen(8))
    -- Ten standard deviations: of 5,000 calls one in ten is 500, give or take 21.
    assert.is_true(math.abs(#first - 500) < 212, tostring(#first))
    local steps = {}
    for i = 2, #first do steps[first[i] - first[i - 1]] = true end
    assert.is_true(steps[1] and steps[2] or false) -- not each tenth
  end)

  it("goes with a factory, and mutes a listener that fails for all of its functions", function()
    local app = open()
    local calls = 0
    local function failing()
      calls = calls + 1
      error("no")
    end
    local attachment = app.lunette.factory(function() return failing end, { where = { name = { "leaf", "b" }, under = "a" } })
    app.call("b")
    app.call("a")
    app.call("a")
    assert.equal(1, calls)
    assert.same({ 1, 1 }, { attachment.errors, attachment.muted })
  end)

  it("does not hear when it is paused, and is over when it is detached", function()
    local app = open()
    local list = {}
    local attachment = app.lunette.on({ name = "leaf", depth = { 0, 9 } }, function(_, n) list[#list + 1] = n end)
    attachment:pause()
    app.call("leaf", 1)
    attachment:resume()
    app.call("leaf", 2)
    attachment:detach()
    app.call("leaf", 3)
    assert.same({ 2 }, list)
  end)

  it("still matches while it is asked by a listener that enters the guest: R17", function()
    local app = open()
    local list = {}
    app.lunette.on({ name = "leaf", when = app.lunette.arg(1):gt(0) }, function(_, n)
      list[#list + 1] = n
      if #list < 5 then app.call("leaf", n + 1) end
    end)
    app.call("leaf", 1)
    assert.same({ 1 }, list)
  end)

  local wrong = {
    { { min_time = "1ms" }, "its listener can't have a before" },
    { { min_time = "soon" }, "where.min_time: a duration expected, as \"500us\" or a number of ns, got \"soon\"" },
    { { sample = 0 }, "where.sample: a whole number from 1 expected" },
    { { depth = "x" }, "where.depth: a whole number from 0 or two, {first, last}, expected, got x" },
    { { depth = { 1 } }, "where.depth: a whole number from 0 or two, {first, last}, expected, got another table" },
    { { depth = { 9, 2 } }, "where.depth: {9, 2} runs backwards" },
    { { depth = -1 }, "where.depth: a whole number from 0 or two, {first, last}, expected, got -1" },
    { { index = { 1 } }, "where.index: a whole number from 0 or two, {first, last}, expected, got another table" },
    { { index = { 1, 2, 3 } }, "where.index: a whole number from 0 or two, {first, last}, expected, got another table" },
    { { index = 1.5 }, "where.index: a whole number from 0 or two, {first, last}, expected, got 1.5" },
    { { index = { 20, 10 } }, "where.index: {20, 10} runs backwards" },
    { { file = true }, "where.file: a pattern or a list of patterns expected, got boolean" },
    { { flie = "x" }, "where.flie: no such field; did you mean 'file'?" },
    { { caller = 3 }, "where.caller: a pattern or a list of patterns expected, got number" },
    { { under = "[a" }, "this [ has no ]" }, { { when = 3 }, "table expected, got number" },
    { { smaple = 3 }, "where.smaple: no such field; did you mean 'sample'?" },
  }
  for _, case in ipairs(wrong) do
    it("is refused: " .. case[2], function()
      local problem = guest.failure(open().lunette.on, case[1], print)
      assert.is_truthy(problem:find(case[2], 1, true), problem)
    end)
  end
end)
