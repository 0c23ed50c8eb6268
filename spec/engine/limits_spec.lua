-- SPDX-License-Identifier: MIT
-- Limits: each ends what goes beyond it with its kind, at the same place traced and untraced.

local c = require("spec.support.c")
local command = require("spec.support.command")
local files = require("spec.support.files")
local guest = require("spec.support.guest")
local wat = require("spec.support.wat")

local failure = guest.failure

after_each(guest.close_all)

-- The error of making a module under these limits.
local function refused(limits, bytes)
  local session = guest.session({ limits = limits })
  return failure(session.module, bytes)
end

describe("a limit of modules", function()
  local two = wat([[(module (type (func (param i32))) (type (func (result i32)))
    (func (local i32 i64 f64) (block (block (loop)))) (func))]])

  for name, case in pairs({
    max_module = { #two, #two - 1, "malformed", "the module has %d+ bytes, the limit is %d+" },
    max_types = { 3, 2, "invalid", "too many types: 3, the limit is 2" },
    max_functions = { 2, 1, "invalid", "too many functions: 2, the limit is 1" },
    max_locals = { 3, 2, "invalid", "too many locals: the limit is 2" },
    max_nesting = { 3, 2, "invalid", "blocks are nested too deep: the limit is 2" },
    max_body = { 20, 5, "invalid", "function #0 has %d+ bytes, the limit is 5" },
  }) do
    it(name .. " refuses one that is over it, and no other", function()
      assert.is_truthy(guest.session({ limits = { [name] = case[1] } }).module(two))
      local err = refused({ [name] = case[2] }, two)
      assert.equal(case[3], err.kind)
      assert.is_truthy(err.message:find(case[4]), err.message)
    end)
  end

  it("cannot be raised above what the engine takes", function()
    local text = "(module (func (local" .. (" i32"):rep(50001) .. ")))"
    assert.equal("too many locals: the limit is 50000 (function #0)",
      refused({ max_locals = 1 << 30 }, wat(text, { names = false })).message)
  end)
end)

describe("a limit of instances", function()
  local function grower(limits, settings)
    local app = guest.session(limits)
    local module = app.module(wat([[(module (memory (export "mem") 1) (table (export "tab") 2 funcref)
      (func (export "more") (param i32) (result i32) (memory.grow (local.get 0)))
      (func (export "wider") (param i32) (result i32) (table.grow 0 (ref.null func) (local.get 0))))]]))
    return app.instantiate(module, settings)
  end

  it("keeps a memory from growing, its own and not that of others", function()
    local app = guest.session()
    local module = app.module(wat([[(module (memory (export "mem") 1)
      (func (export "more") (param i32) (result i32) (memory.grow (local.get 0))))]]))
    local free = app.instantiate(module)
    local held = app.instantiate(module, { limits = { max_memory = 3 * 65536 + 5 } })
    assert.same({ 1, -1, 3 }, { held:invoke("more", 2), held:invoke("more", 1), held:invoke("more", 0) })
    assert.same({ 1, 101 }, { free:invoke("more", 100), free:invoke("more", 1) })
  end)

  it("keeps a table from growing", function()
    local held = grower({ limits = { max_table = 4 } })
    assert.same({ 2, -1, 4 }, { held:invoke("wider", 2), held:invoke("wider", 1), held:invoke("wider", 0) })
  end)

  it("refuses what begins larger", function()
    local err = failure(grower, { max_memory = 65535 })
    assert.same({ "exhausted", "a memory of 1 pages is over the limit of 0" }, { err.kind, err.message })
    err = failure(grower, nil, { limits = { max_table = 1 } })
    assert.same({ "exhausted", "a table of 2 elements is over the limit of 1" }, { err.kind, err.message })
  end)

  it("is named wrong: the nearest is told", function()
    for message, limits in pairs({
      ["limits: no such limit: max_memry; did you mean 'max_memory'?"] = { max_memry = 1 },
      ["limits: fuel must be an integer from 1 on, not 0"] = { fuel = 0 },
      ["limits: fuel must be an integer from 1 on, not 1.5"] = { fuel = 1.5 },
      ["limits: max_depth must be an integer from 1 on, not 4294967296"] = { max_depth = 1 << 32 },
      ["limits: max_depth must be an integer from 1 on, not table"] = { max_depth = {} },
      ["limits must be a table, not a number"] = 7,
    }) do
      local problem = failure(grower, nil, { limits = limits })
      assert.is_truthy(tostring(problem):find(message, 1, true), tostring(problem))
    end
  end)
end)

-- Recursion in each form: plain, indirect, by tail call, through a host function, over an instance border.
local recursive = [[(module
  (import "host" "call" (func $host (param i32) (result i32)))
  (import "host" "plain" (func $plain))
  (type $t (func (param i32) (result i32)))
  (table funcref (elem $deep $through $many))
  (memory 1)
  (func $deep (export "deep") (param i32) (result i32) (local i64)
    (if (i32.eqz (local.get 0)) (then (return (i32.const 0))))
    (i32.add (i32.const 1) (call $deep (i32.sub (local.get 0) (i32.const 1)))))
  (func $through (export "through") (param i32) (result i32)
    (if (result i32) (local.get 0)
      (then (i32.add (call $host (i32.sub (local.get 0) (i32.const 1))) (i32.const 1)))
      (else (i32.const 0))))
  (func $many (export "many") (param i32) (result i32)
    (if (i32.eqz (local.get 0)) (then (return (i32.const 7))))
    (return_call_indirect (type $t) (i32.sub (local.get 0) (i32.const 1)) (i32.const 2)))
  (tag $thrown (param i32))
  (func $thrower (param i32)
    (if (i32.eqz (local.get 0)) (then (throw $thrown (i32.const 1))))
    (call $thrower (i32.sub (local.get 0) (i32.const 1))))
  (func (export "caught") (param i32) (result i32) (local $sum i32) (local $i i32)
    (loop $again
      (try (do (call $thrower (local.get 0)))
        (catch $thrown (local.set $sum (i32.add (local.get $sum)))))
      (br_if $again (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 3))))
    (local.get $sum))
  (func $leaf)
  (func $mixed (export "mixed") (param i32) (result i32) (local $i i32)
    (block $out (loop $again
      (call $leaf)
      (call $plain)
      (memory.fill (i32.const 0) (local.get $i) (i32.const 1000))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_table $again $out (i32.ge_u (local.get $i) (local.get 0)))))
    (local.get $i)))]]

-- How each way to call ends, traced or not: its results, or the error's kind, offset and message; and the fuel that is left.
local function outcomes(limits, attach, calls)
  local session = guest.session()
  local instance
  local imports = {
    host = session.host("host", {
      call = { params = { "i32" }, results = { "i32" }, function(_, n) return instance:invoke("through", n) end },
      plain = { function() end },
    }),
  }
  instance = session.instantiate(session.module(wat(recursive)), { imports = imports, limits = limits })
  local attachment = attach and session.on("*", attach)
  local list = {}
  for _, call in ipairs(calls) do
    if limits.fuel then session.fuel(limits.fuel) end
    local good, result = pcall(instance.invoke, instance, call[1], call[2])
    local err = not good and result
    list[#list + 1] = ("%s(%d): %s, left %d"):format(call[1], call[2],
      good and tostring(result) or ("%s at %s: %s"):format(err.kind, err.stack and err.stack[1].offset, err.message),
      limits.fuel and session.fuel() or 0)
  end
  if attachment then attachment:detach() end
  return list
end

local function silent() end
local listeners = {
  { "with before", silent },
  { "with all three", { before = silent, after = silent, abort = silent } },
}

describe("fuel", function()
  local calls = {}
  for _, name in ipairs({ "deep", "through", "many", "mixed", "caught" }) do
    for _, n in ipairs({ 0, 1, 2, 40 }) do calls[#calls + 1] = { name, n } end
  end

  it("R24 is used alike with listeners and without, in each form of call", function()
    for _, fuel in ipairs({ 1, 5, 17, 100, 333, 100000 }) do
      local plain = outcomes({ fuel = fuel }, nil, calls)
      assert.same(plain, outcomes({ fuel = fuel }, nil, calls))
      for _, listener in ipairs(listeners) do assert.same(plain, outcomes({ fuel = fuel }, listener[2], calls), listener[1]) end
    end
  end)

  it("is one for each instruction, paid for a stretch of code at a time", function()
    local session = guest.session({ limits = { fuel = 1000 } })
    local instance = session.instantiate(session.module(wat([[(module (memory 4)
      (func $nothing (export "nothing") nop (block (loop)))
      (func (export "three") (drop (i32.add (i32.const 1) (i32.const 2))) nop)
      (func (export "if") (param i32) (if (local.get 0) (then (drop (i32.const 1)))))
      (func (export "loop") (param i32)
        (loop (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))))
      (func (export "call") (call $nothing) (call $nothing))
      (func (export "fill") (param i32) (memory.fill (i32.const 0) (i32.const 1) (local.get 0))))]])))
    local function used(name, ...)
      session.fuel(1000)
      instance:invoke(name, ...)
      return 1000 - session.fuel()
    end
    assert.same({ 0, 4, 2, 4 }, { used("nothing"), used("three"), used("if", 0), used("if", 1) })
    assert.same({ 5, 50, 2 }, { used("loop", 1), used("loop", 10), used("call") })
    assert.same({ 4, 4, 5, 4 + 999 - 4 }, { used("fill", 0), used("fill", 63), used("fill", 64), used("fill", 64 * 995) })
  end)

  it("used up ends the run with its kind, and every open call", function()
    local session = guest.session({ limits = { fuel = 100 } })
    local instance = session.instantiate(session.module(wat([[(module
      (func $inner (loop (br 0)))
      (func (export "run") (call $inner)))]])))
    local heard = {}
    session.on("*", { abort = function(call, err) heard[#heard + 1] = call.name .. " " .. err.kind end })
    local err = failure(instance.invoke, instance, "run")
    assert.same({ "fuel", "the fuel is used up", 0 }, { err.kind, err.message, session.fuel() })
    assert.same({ "inner fuel", "run fuel" }, heard)
    assert.equal(0, session.fuel(3))
    assert.equal("fuel", failure(instance.invoke, instance, "run").kind)
  end)

  it("does not count what instances without it do", function()
    local session = guest.session()
    local module = session.module(wat('(module (func (export "run") (drop (i32.const 1))))'))
    local free = session.instantiate(module)
    local held = session.instantiate(module, { limits = { fuel = 3 } })
    free:invoke("run")
    assert.equal(3, session.fuel())
    held:invoke("run")
    assert.equal(1, session.fuel())
    assert.equal("fuel", failure(held.invoke, held, "run").kind)
    free:invoke("run")
  end)

  it("is paid for also in code that is reached by labels alone", function()
    local session = guest.session({ limits = { fuel = 1000 } })
    local instance = session.instantiate(session.module(wat([[(module
      (func (export "table") (param i32) (result i32)
        (block (block (block (br_table 0 1 2 (local.get 0))) (return (i32.const 10))) (return (i32.const 20)))
        (i32.const 30)))]])))
    for i = 0, 2 do
      session.fuel(1000)
      assert.equal(10 * (i + 1), instance:invoke("table", i))
      assert.equal(i < 2 and 996 or 997, session.fuel())
    end
  end)
end)

describe("a limit of depth", function()
  local calls = {}
  for _, case in ipairs({ { "deep", 8 }, { "deep", 9 }, { "deep", 10 }, { "deep", 1000 }, { "through", 4 }, { "through", 5 },
    { "through", 150 }, { "many", 100000 }, { "mixed", 10 }, { "caught", 8 }, { "caught", 9 } }) do
    calls[#calls + 1] = case
  end

  it("R24 ends at the same call with listeners and without, in each form of call", function()
    for _, depth in ipairs({ 1, 2, 9, 10, 11, 100 }) do
      local plain = outcomes({ max_depth = depth }, nil, calls)
      for _, listener in ipairs(listeners) do
        assert.same(plain, outcomes({ max_depth = depth }, listener[2], calls), listener[1])
      end
    end
  end)

  it("counts frames of guest and host, in runs inside one another; a tail call takes a place, a throw gives places back",
    function()
      local list = outcomes({ max_depth = 10 }, nil, calls)
      for i, pattern in ipairs({ ": 8,", ": 9,", "exhausted at %d+: more than 10 calls inside one another", "exhausted",
        ": 4,", "exhausted", "exhausted", ": 7,", ": 10,", ": 3,", "exhausted" }) do
        assert.is_truthy(list[i]:find(pattern), list[i])
      end
    end)

  it("R3 is checked before anybody hears of the call", function()
    local session = guest.session({ limits = { max_depth = 3 } })
    local app = session.instantiate(session.module(wat(
      '(module (func $f (export "f") (param i32) (call $f (i32.add (local.get 0) (i32.const 1)))))')))
    local heard = {}
    session.on("*", {
      before = function(_, n) heard[#heard + 1] = "before " .. n end,
      abort = function(call, err) heard[#heard + 1] = ("abort %d %s"):format(call.depth, err.kind) end,
    })
    assert.equal("exhausted", failure(app.invoke, app, "f", 0).kind)
    assert.same({ "before 0", "before 1", "before 2", "abort 2 exhausted", "abort 1 exhausted", "abort 0 exhausted" }, heard)
  end)

  it("leaves a callback of before as many calls after a caught exception as before it", function()
    local session = guest.session({ limits = { max_depth = 10 } })
    local app = session.instantiate(session.module(wat([[(module (tag $t)
      (func $deep (export "deep") (param i32) (result i32)
        (if (result i32) (local.get 0)
          (then (i32.add (i32.const 1) (call $deep (i32.sub (local.get 0) (i32.const 1)))))
          (else (i32.const 0))))
      (func $throws (param i32)
        (if (local.get 0) (then (call $throws (i32.sub (local.get 0) (i32.const 1)))) (else (throw $t))))
      (func (export "caught_then") (param i32) (result i32)
        (try (do (call $throws (i32.const 2))) (catch $t))
        (call $deep (local.get 0)))
      (func (export "outer") (nop)))]])))
    local deepest
    session.on("outer", function()
      for n = 0, 20 do
        if not pcall(app.invoke, app, "caught_then", n) then break end
        deepest = n
      end
    end)
    app:invoke("outer")
    -- Not yet among the ten: outer, which is told of before it begins. caught_then is, and deep of n has n + 1 frames.
    assert.equal(8, deepest)
  end)

  it("is whole again after each failure", function()
    local list = outcomes({ max_depth = 10 }, nil, { { "deep", 50 }, { "through", 50 }, { "deep", 9 }, { "through", 4 } })
    assert.is_truthy(list[3]:find(": 9,") and list[4]:find(": 4,"), table.concat(list, "\n"))
  end)
end)

describe("the C stack", function()
  it("is not what a guest's recursion uses, and limits hold from C", function()
    assert.equal("limits hold\n", c("limits"))
  end)
end)

-- Reading each shape of spec/c/linear.c: { { name =, status =, [1] =, [2] =, [3] = }, … }, one number for each size.
local function shapes(said, number_of)
  local list = {}
  for name, size, bytes, status in said:gmatch("([^\n]-), (%d): (%d+) bytes, (%a+)\n") do
    if size == "0" then list[#list + 1] = { name = name, status = status } end
    table.insert(list[#list], number_of(tonumber(bytes)))
  end
  return list
end

-- Twice the growth in size is at most twice the growth in cost; a vector that doubles may do so a step earlier or later.
local function assert_linear(list, slack)
  assert.is_true(#list >= 10)
  for _, shape in ipairs(list) do
    local first, second = shape[2] - shape[1], shape[3] - shape[2]
    local text = ("%s: %d, %d, %d"):format(shape.name, shape[1], shape[2], shape[3])
    assert.is_true(first >= 0 and second <= 2 * first + (first + slack), text)
    assert.equal(shape.name == "an empty promise" and "malformed" or "ok", shape.status, text)
  end
end

describe("reading a module", function()
  it("asks for memory linear in its bytes, a hostile one, too", function()
    assert_linear(shapes(c("linear"), function(bytes) return bytes end), 4096)
  end)

  it("takes instructions linear in its bytes, a hostile one, too", function()
    if command.sanitized then return pending("valgrind does not go with sanitizers") end
    local folder <close> = files.temporary()
    local result = command.run("valgrind", { "--tool=callgrind", "--dump-after=lun_module_create",
      "--toggle-collect=lun_module_create", "--callgrind-out-file=" .. folder .. "/out", command.build .. "/spec/linear" })
    assert.equal(0, result.status, result.stderr)
    local at = 0
    assert_linear(shapes(result.stdout, function()
      at = at + 1
      return tonumber(files.read(folder .. "/out." .. at):match("\ntotals: (%d+)"))
    end), 5000)
  end)
end)
