-- SPDX-License-Identifier: MIT
-- Flaws of the listener that was this one's model, F1 to F24: what it did, and that it is not so here. From C where they were
-- about values or the stack in memory: spec/c/flaws.c.

local c = require("spec.support.c")
local files = require("spec.support.files")
local guest = require("spec.support.guest")
local run = require("spec.support.run")
local wat = require("spec.support.wat")

local hear, failure = guest.hear, guest.failure

after_each(guest.close_all)

-- a calls b, which calls c; c does as it is told: 0 returns, 1 traps, 2 calls the host, 3 grows.
local text = [[(module
  (import "env" "host" (func $host (param i32) (result i32)))
  (memory (export "memory") 1 2)
  (func $a (export "a") (param $n i32) (result i32) nop (call $b (local.get $n)))
  (func $b (param $n i32) (result i32) nop nop (i32.add (call $c (local.get $n)) (i32.const 1)))
  (func $c (export "c") (param $n i32) (result i32)
    (if (i32.eq (local.get $n) (i32.const 1)) (then unreachable))
    (if (i32.eq (local.get $n) (i32.const 2)) (then (return (call $host (local.get $n)))))
    (if (i32.eq (local.get $n) (i32.const 3)) (then (return (memory.grow (i32.const 1)))))
    (i32.const 5))
  (func $deep (export "deep") (param $n i32)
    (if (local.get $n) (then (call $deep (i32.sub (local.get $n) (i32.const 1)))) (else unreachable)))
  (func $endless (export "endless") (call $endless))
  (func $tail (export "tail") (param $n i32) (result i32)
    (if (local.get $n) (then (return_call $tail (i32.sub (local.get $n) (i32.const 1)))))
    (i32.const 0)))]]

local function open(host, options)
  local app
  options = options or {}
  options.imports = function(lunette)
    return { lunette.host("env", { host = { params = { "i32" }, results = { "i32" }, function(_, n)
      return host and host(app, n) or n
    end } }) }
  end
  app = guest.open(text, options)
  return app
end

local function names(stack)
  local list = {}
  for i, frame in ipairs(stack) do list[i] = frame.definition.name end
  return table.concat(list, " ")
end

local function fails(app, ...) return failure(app.instance.invoke, app.instance, ...) end

describe("F1 two listeners", function()
  it("each see every frame's own function", function()
    local app, seen = open(), {}
    for i = 1, 2 do app.lunette.on("c", function(call) seen[i] = names(call:stack()) end) end
    app.instance:invoke("a", 0)
    assert.same({ "c b a", "c b a" }, seen)
  end)
end)

describe("F2 31 frames and more", function()
  for _, depth in ipairs({ 29, 30, 31, 5000 }) do
    it("all get abort, and are walked to the last: " .. depth, function()
      local app, aborts, walked = open(), 0, nil
      app.lunette.on("deep", {
        before = function(call, n) if n == 0 then walked = #call:stack() end end,
        abort = function() aborts = aborts + 1 end,
      })
      fails(app, "deep", depth - 1)
      assert.same({ depth, depth }, { aborts, walked })
    end)
  end
end)

describe("F3 a stack overflow", function()
  it("aborts every open call, and the refused one has no before", function()
    local app, open_calls, aborts = open(nil, { session = { stack = 1 << 18 } }), 0, 0
    app.lunette.on("endless", {
      before = function() open_calls = open_calls + 1 end,
      abort = function(_, err)
        open_calls, aborts = open_calls - 1, aborts + 1
        assert(err.kind == "exhausted", err.kind)
      end,
    })
    assert.equal("exhausted", fails(app, "endless").kind)
    assert.equal(0, open_calls)
    assert.is_true(aborts > 100)
  end)
end)

describe("F4 tail calls", function()
  it("pair: the caller's call ends before its callee's begins", function()
    local app = open()
    local events = hear(app, "tail")
    app.instance:invoke("tail", 2)
    assert.same({ "before tail 2", "after tail", "before tail 1", "after tail", "before tail 0", "after tail 0" }, events)
  end)
end)

describe("F5 the module of a call", function()
  it("is the callee's, in before, after and abort, from whatever module it was called", function()
    local session = guest.session()
    local library = session.instantiate(session.module(wat([[(module $library
      (func (export "f") (param i32) (if (local.get 0) (then unreachable))))]])))
    local user = session.instantiate(session.module(wat([[(module $user (import "library" "f" (func $f (param i32)))
      (func (export "g") (param i32) (call $f (local.get 0))))]])), { imports = { library = library } })
    local seen = {}
    local function note(kind)
      return function(call) seen[#seen + 1] = ("%s %s %s"):format(kind, call.instance.name, call:stack()[1].instance.name) end
    end
    session.on("*", { before = note("before"), after = note("after"), abort = note("abort") })
    user:invoke("g", 0)
    failure(user.invoke, user, "g", 1)
    assert.same({
      "before user user", "before library library", "after library library", "after user user",
      "before user user", "before library library", "abort library library", "abort user user",
    }, seen)
  end)
end)

describe("F6 a host function that swallows a failure, as setjmp and longjmp do", function()
  it("skips no event of the calls between", function()
    local app = open(function(app) return not pcall(app.instance.invoke, app.instance, "c", 1) and 7 or 0 end)
    local events = hear(app, "*")
    assert.equal(8, app.instance:invoke("a", 2))
    assert.same({
      "before a 2", "before b 2", "before c 2", "before host 2", "before c 1", "abort c trap", "after host 7", "after c 7",
      "after b 8", "after a 8",
    }, events)
  end)
end)

describe("F7 an error in a listener", function()
  local function listening(at)
    local app, seen = open(), {}
    local function callback(kind)
      return function()
        seen[#seen + 1] = kind
        if kind == at then error("no good") end
      end
    end
    app.lunette.on("c", { before = callback("before"), after = callback("after"), abort = callback("abort") })
    return app, seen
  end

  it("in before is followed neither by abort nor by after", function()
    local app, seen = listening("before")
    assert.equal(6, app.instance:invoke("a", 0))
    assert.same({ "before" }, seen)
  end)

  it("in after is not followed by abort", function()
    local app, seen = listening("after")
    assert.equal(6, app.instance:invoke("a", 0))
    assert.same({ "before", "after" }, seen)
  end)

  it("in abort does not take the place of the guest's", function()
    local app, seen = listening("abort")
    local err = fails(app, "a", 1)
    assert.same({ "trap", "unreachable" }, { err.kind, err.code })
    assert.same({ "before", "abort" }, seen)
  end)
end)

describe("F8 the same bytes instantiated twice", function()
  it("have two sets of listeners", function()
    local bytes, heard = wat('(module (func (export "f")))'), {}
    local session = guest.session()
    local one = session.instantiate(session.module(bytes), { name = "one" })
    local two = session.instantiate(session.module(bytes), { name = "two" })
    session.factory(function() return function(call) heard[#heard + 1] = "first " .. call.instance.name end end)
    session.factory(function() return function(call) heard[#heard + 1] = "second " .. call.instance.name end end)
    one:invoke("f")
    two:invoke("f")
    assert.same({ "first one", "second one", "first two", "second two" }, heard)
  end)
end)

describe("F9 i32 and f32", function()
  it("have no upper half, whatever stood in the slot before", function()
    local app = guest.open([[(module
      (func $f (export "f") (param i32 f32) (result i32 f32) (local.get 0) (local.get 1))
      (func (export "g") (result i32 f32)
        (call $f (i32.wrap_i64 (i64.const 0x123456789abcdef0)) (f32.demote_f64 (f64.const -1.5)))))]])
    local bits = {}
    app.lunette.on("f", { before = function(call) bits = { call:bits(1), call:bits(2) } end })
    local first, second = app.instance:invoke("g")
    assert.same({ 0x9abcdef0, 0xbfc00000 }, bits)
    assert.same({ 0x9abcdef0 - (1 << 32), -1.5 }, { first, second })
  end)
end)

describe("F10 a host function", function()
  it("has as many params and results as its signature says", function()
    local counts = {}
    local app = guest.open([[(module
      (import "env" "wide" (func $wide (param i32 i32 i32)))
      (import "env" "tall" (func $tall (result i32 i32)))
      (func (export "f") (result i32) (call $wide (i32.const 1) (i32.const 2) (i32.const 3)) (call $tall) i32.add))]], {
      imports = function() return { env = {
        wide = { params = { "i32", "i32", "i32" }, function() end },
        tall = { results = { "i32", "i32" }, function() return 1, 2 end },
      } } end,
    })
    app.lunette.on("host:*", {
      before = function(call, ...) counts[call.definition.name] = { select("#", ...) } end,
      after = function(call, ...) table.insert(counts[call.definition.name], (select("#", ...))) end,
    })
    assert.equal(3, app.instance:invoke("f"))
    assert.same({ wide = { 3, 0 }, tall = { 0, 2 } }, counts)
  end)
end)

describe("F11 a listener", function()
  it("cannot write what it is given", function()
    local app, problems = open(), {}
    app.lunette.on("c", function(call)
      problems[1] = failure(function() call.id = 7 end)
      problems[2] = failure(function() call:stack()[1] = nil end)
      problems[3] = failure(function() call.memory:write(0, "x") end)
      local kept = table.pack(call:params())
      kept[1] = 1
    end)
    assert.equal(6, app.instance:invoke("a", 0))
    assert.equal(3, #problems)
  end)
end)

describe("F12 a frame's offset", function()
  it("lies in the function that the frame names, in every frame of every kind of stack", function()
    local app, frames = open(), 0
    local function check(stack)
      for _, frame in ipairs(stack) do
        local start = frame.definition.offset
        assert(frame.offset >= start and frame.offset < start + frame.definition.size, names(stack))
        frames = frames + 1
      end
    end
    app.lunette.on("c", function(call)
      check(call:stack())
      check(call:snapshot())
    end)
    check(fails(app, "a", 1).stack)
    assert.equal(9, frames)
  end)
end)

describe("F13 a call that the first listener makes", function()
  it("leaves the second its own call's stack", function()
    local app, stacks = open(), {}
    app.lunette.on("c", function(_, n) if n == 0 then app.instance:invoke("deep", 0) end end, { on_error = function() end })
    app.lunette.on("c", function(call, n) stacks[#stacks + 1] = names(call:stack()) .. n end)
    app.instance:invoke("a", 0)
    assert.same({ "c b a0" }, stacks)
  end)
end)

describe("F14 a stack that was kept", function()
  it("says that it is stale, and a snapshot stays as it was", function()
    local app, stack, snapshot = open(), nil, nil
    app.lunette.on("c", function(call) stack, snapshot = stack or call:stack(), snapshot or call:snapshot() end)
    app.instance:invoke("a", 0)
    app.instance:invoke("c", 0)
    app.instance:close()
    assert.is_truthy(failure(function() return stack[1] end):find("stale", 1, true))
    assert.equal("c b a", names(snapshot))
  end)
end)

describe("F15 after", function()
  it("means success: where the instance is closed meanwhile, its open calls abort", function()
    local app = open(function(app)
      app.instance:close()
      return 1
    end)
    local events = hear(app, { "a", "b", "c" })
    assert.equal("exit", fails(app, "a", 2).kind)
    assert.same({ "before a 2", "before b 2", "before c 2", "abort c exit", "abort b exit", "abort a exit" }, events)
  end)
end)

describe("F16 errors", function()
  it("are told apart by kind and code, in one line", function()
    local what, app
    local function host() return what() end
    app = open(host, { session = { stack = 1 << 18 } })
    local seen = {}
    app.lunette.on({ "a", "endless" }, { abort = function(call, err)
      assert(not err.message:find("\n"), err.message)
      if call.depth == 0 then seen[#seen + 1] = err.kind .. " " .. tostring(err.code) end
    end })
    fails(app, "a", 1)
    what = function() error("two\nlines") end
    fails(app, "a", 2)
    what = function() app.lunette.stop(3) end
    fails(app, "a", 2)
    fails(app, "endless")
    assert.same({ "trap unreachable", "host nil", "exit 3", "exhausted nil" }, seen)
  end)
end)

describe("F17 before and after", function()
  it("of a call know each other by its id and by what before has left in its data", function()
    local app, seen = open(), {}
    app.lunette.on("*", {
      before = function(call) call.data = { id = call.id } end,
      after = function(call) seen[#seen + 1] = call.name .. tostring(call.data.id == call.id) end,
    })
    app.instance:invoke("a", 0)
    assert.same({ "ctrue", "btrue", "atrue" }, seen)
  end)
end)

describe("F18 frames of an instance that is closed", function()
  it("stay in the stacks that have them", function()
    local app = open(function(app)
      app.instance:close()
      return 1
    end)
    local stack
    app.lunette.on("c", { abort = function(call) stack = names(call:stack()) end })
    local err = fails(app, "a", 2)
    assert.equal("host c b a", names(err.stack))
    assert.equal("c b a", stack)
  end)
end)

describe("F20 growth", function()
  it("of a memory is an event with the sizes and the stack", function()
    local app, seen = open(), {}
    app.lunette.on_grow(function(event)
      seen[#seen + 1] = { event.old, event.delta, event.result or false, names(event:stack()) }
    end)
    app.instance:invoke("a", 3)
    app.instance:invoke("a", 3)
    assert.same({ { 1, 1, 1, "c b a" }, { 2, 1, false, "c b a" } }, seen)
  end)
end)

describe("F21 a function that has run already", function()
  it("can be listened to, and let go, at any time", function()
    local app = open()
    app.instance:invoke("a", 0)
    local events, attachment = hear(app, "b")
    app.instance:invoke("a", 0)
    attachment:detach()
    app.instance:invoke("a", 0)
    assert.same({ "before b 0", "after b 6" }, events)
  end)
end)

describe("F22 offsets", function()
  it("are there without debug information: of the call in each frame, and where they stand in the file", function()
    local app, offsets = open(), {}
    app.lunette.on("c", function(call)
      for i, frame in ipairs(call:stack()) do offsets[i] = frame.offset - frame.definition.offset end
      local file = call:stack()[2].file_offset - call:stack()[2].offset
      assert(file == app.module.code_start, file)
    end)
    app.instance:invoke("a", 0)
    assert.same({ 1, 5, 4 }, offsets) -- no locals; b: nop, nop, local.get, call; a: nop, local.get, call
  end)
end)

describe("F23 the stack", function()
  it("goes on behind a host function that has called the guest again", function()
    local app = open(function(app) return app.instance:invoke("a", 0) end)
    local stacks = {}
    app.lunette.on("c", function(call) stacks[#stacks + 1] = names(call:stack()) end)
    app.instance:invoke("a", 2)
    assert.same({ "c b a", "c b a host c b a" }, stacks)
  end)
end)

describe("F24 a log of calls", function()
  it("closes the lines of calls that did not return, and takes any path and any name", function()
    local result = run({ "strace", "app.wasm", status = 0, guest = [[(module
      (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
      (import "wasi_snapshot_preview1" "path_open" (func $open
        (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
      (memory (export "memory") 1)
      (data (i32.const 16) "two\nlines")
      (func (export "_start")
        (drop (call $open (i32.const 3) (i32.const 0) (i32.const 16) (i32.const 9) (i32.const 0) (i64.const 0) (i64.const 0)
          (i32.const 0) (i32.const 8)))
        (call $exit (i32.const 4))))]] })
    assert.equal(4, result.status)
    local lines = {}
    for line in result.stderr:gmatch("[^\n]+") do lines[#lines + 1] = line end
    assert.equal(2, #lines, result.stderr)
    assert.is_truthy(lines[1]:find([["two\nlines"]], 1, true), lines[1])
    assert.is_truthy(lines[2]:find("^proc_exit%(rval=4%) = %? %(exit: 4%)$"), lines[2])
  end)

  it("names a function on one line, whatever bytes its name has", function()
    local result = run({ "run", "-s", "calltree", "--invoke", "f", "app.wasm", guest = [[(module
      (func (export "f") (call 1)) (func (export "a\0ab\7f)=%s") unreachable))]] })
    assert.equal(134, result.status)
    local trace = result.stderr:match("^(.-)lunette: ")
    assert.equal("f() {\n  a?b?)=%s() ! trap: unreachable\n} ! trap\n", trace)
  end)
end)

describe("flaws of values and stacks, in C", function()
  it("are not there", function()
    local folder <close> = files.temporary()
    files.write(folder .. "/rules.wasm", wat(files.read("spec/c/rules.wat")))
    assert.matches("^%d+ checks, 0 failed\n$", c("flaws", folder .. "/rules.wasm"))
  end)
end)
