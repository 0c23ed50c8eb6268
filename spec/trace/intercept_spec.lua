-- SPDX-License-Identifier: MIT
-- Calls that are changed on purpose (R11), from Lua.

local guest = require("spec.support.guest")

local failure = guest.failure

after_each(guest.close_all)

local open = guest.open_unsafe

local double = [[(module (func $f (export "f") (param i32) (result i32) (i32.mul (local.get 0) (i32.const 2)))
  (func (export "g") (param i32) (result i32) (i32.add (call $f (local.get 0)) (i32.const 1))))]]

describe("R11 an interceptor", function()
  it("replaces arguments; the callee and its listeners see those", function()
    local app = open(double)
    app.lunette.intercept("f", { params = function(_, n) return n + 10 end })
    local events = guest.hear(app, "*", { params = true })
    assert.equal(23, app.instance:invoke("g", 1))
    assert.same({ "before g 1", "before f 11", "after f 22", "after g 23" }, events)
  end)

  it("replaces results; the caller and the listeners' after see those", function()
    local app = open(double)
    app.lunette.intercept("f", { results = function(call, n) return n + call:param(1) end })
    local events = guest.hear(app, "*")
    assert.equal(16, app.instance:invoke("g", 5))
    assert.same({ "before g 5", "before f 5", "after f 15", "after g 16" }, events)
  end)

  it("answers in place of the callee, which does not run", function()
    local app = open([[(module (func $f (export "f") (param i32) (result i32) unreachable)
      (func (export "g") (param i32) (result i32) (i32.add (call $f (local.get 0)) (i32.const 1))))]])
    app.lunette.intercept("f", function(_, n) return n * 100 end)
    local events = guest.hear(app, "*")
    assert.equal(301, app.instance:invoke("g", 3))
    assert.equal(700, app.instance:invoke("f", 7))
    assert.same({ "before g 3", "before f 3", "after f 300", "after g 301", "before f 7", "after f 700" }, events)
  end)

  it("lets the call proceed with other arguments and uses its results", function()
    local app = open(double)
    local seen
    app.lunette.intercept("f", function(call, n)
      seen = call:proceed(n + 1)
      return -seen
    end)
    local events = guest.hear(app, "*")
    assert.equal(-11, app.instance:invoke("g", 5))
    assert.equal(12, seen)
    assert.same({ "before g 5", "before f 6", "after f -12", "after g -11" }, events)
  end)

  it("lets it proceed as it is when it gives no arguments", function()
    local app = open(double)
    app.lunette.intercept("f", function(call) return call:proceed() end)
    assert.equal(14, app.instance:invoke("f", 7))
  end)

  it("stands before host functions as well", function()
    local app = open([[(module (import "env" "h" (func $h (param i32) (result i32)))
      (func (export "g") (param i32) (result i32) (call $h (local.get 0))))]], {
      imports = function(lunette)
        local h = { params = { "i32" }, results = { "i32" }, function(_, n) return n + 1 end }
        return { lunette.host("env", { h = h }) }
      end,
    })
    local events = guest.hear(app, "host:*", { params = true })
    local first = app.lunette.intercept("host:*", function(call, n) return call:proceed(n * 2) * 10 end)
    assert.equal(70, app.instance:invoke("g", 3))
    first:detach()
    local second = app.lunette.intercept("host:*", { params = function(_, n) return n + 5 end, results = function() end })
    assert.equal(9, app.instance:invoke("g", 3))
    second:detach()
    app.lunette.intercept("host:*", function() return 0 end)
    assert.equal(0, app.instance:invoke("g", 3))
    assert.same({ "before h 6", "after h 70", "before h 8", "after h 9", "before h 3", "after h 0" }, events)
  end)

  it("may stand before another: the first attached is outermost", function()
    local app = open(double)
    local order = {}
    app.lunette.intercept("f", { params = function(_, n) order[#order + 1] = "a " .. n return n + 1 end,
      results = function(_, n) order[#order + 1] = "A " .. n return n + 1000 end })
    app.lunette.intercept("f", function(call, n)
      order[#order + 1] = "b " .. n
      local got = call:proceed(n + 10)
      order[#order + 1] = "B " .. got
      return got + 100
    end)
    app.lunette.intercept("f", { params = function(_, n) order[#order + 1] = "c " .. n return n end,
      results = function(_, n) order[#order + 1] = "C " .. n return n + 1 end })
    local events = guest.hear(app, "f")
    assert.equal(1129, app.instance:invoke("f", 3))
    assert.same({ "a 3", "b 4", "c 14", "C 28", "B 29", "A 129" }, order)
    assert.same({ "before f 14", "after f 1129" }, events)
  end)

  it("answers for the one behind it as well, which is not asked then", function()
    local app = open(double)
    local asked = 0
    app.lunette.intercept("f", function(_, n) return n end)
    app.lunette.intercept("f", function(call, n) asked = asked + 1 return call:proceed(n) end)
    assert.equal(9, app.instance:invoke("f", 9))
    assert.equal(0, asked)
  end)

  it("is told of in call.intercepted, and by calltree and strace", function()
    local app = open(double)
    local told = {}
    app.lunette.on("f", { before = function(call) told[#told + 1] = tostring(call.intercepted) end,
      after = function(call) told[#told + 1] = tostring(call.intercepted) end })
    app.instance:invoke("f", 1)
    local function with(interceptor)
      local attachment = app.lunette.intercept("f", interceptor)
      app.instance:invoke("f", 1)
      attachment:detach()
    end
    with({ params = function() return 2 end })
    with({ results = function() return 3 end })
    with(function(call) return call:proceed() end)
    with(function(call) return call:proceed(5) + 1 end)
    with(function() return 1 end)
    assert.same({ "nil", "nil", "params", "params", "unchanged", "results", "unchanged", "unchanged", "params",
      "params, results", "call", "call" }, told)
  end)

  it("passes on what the callee fails with: abort is told once, to all, with the stack of the failure", function()
    local app = open([[(module (func $deep (export "deep") (param i32) unreachable)
      (func $f (export "f") (param i32) (call $deep (local.get 0)))
      (func (export "g") (param i32) (call $f (local.get 0))))]])
    for _, interceptor in ipairs({ function(call, n) call:proceed(n) end, { params = function(_, n) return n end },
      { results = function() end } }) do
      local attachment = app.lunette.intercept("f", interceptor)
      local stacks = {}
      local events, heard = guest.hear(app, "*")
      local watch = app.lunette.on("f", { abort = function(call, err)
        local names = {}
        for _, frame in ipairs(err.stack) do names[#names + 1] = frame.definition.name end
        stacks[1] = table.concat(names, " ")
        names = {}
        for _, frame in ipairs(call:stack()) do
          names[#names + 1] = ("%s:%s"):format(frame.definition.name, frame.offset ~= nil)
        end
        stacks[2] = table.concat(names, " ")
      end })
      local err = failure(app.instance.invoke, app.instance, "g", 1)
      assert.equal("trap", err.kind)
      assert.equal("unreachable", err.code)
      assert.same({ "deep f g", "f:true g:true" }, stacks)
      assert.same({ "before g 1", "before f 1", "before deep 1", "abort deep trap", "abort f trap", "abort g trap" }, events)
      attachment:detach() heard:detach() watch:detach()
    end
  end)

  it("may answer for a callee that has failed, which is then an after", function()
    local app = open([[(module (func $f (export "f") (param i32) (result i32) unreachable)
      (func (export "g") (param i32) (result i32) (call $f (local.get 0))))]])
    local kind, marked
    app.lunette.intercept("f", function(call, n)
      local good, err = pcall(call.proceed, call, n)
      kind = not good and err.kind
      return -1
    end)
    app.lunette.on("f", { after = function(call) marked = call.intercepted end })
    local events, pairing = guest.hear(app, "*"), app.lunette.pairing()
    assert.equal(-1, app.instance:invoke("g", 4))
    pairing:check()
    assert.equal("trap", kind)
    assert.equal("results", marked)
    assert.same({ "before g 4", "before f 4", "after f -1", "after g -1" }, events)
  end)

  it("lets exceptions of the callee through, and may throw in its place", function()
    local app = open([[(module (tag $e (export "e") (param i32))
      (func $f (export "f") (param i32) (result i32) (throw $e (local.get 0)))
      (func (export "g") (param i32) (result i32)
        (try (result i32) (do (call $f (local.get 0))) (catch $e))))]])
    local events = guest.hear(app, "*")
    local first = app.lunette.intercept("f", function(call, n) return call:proceed(n + 1) end)
    assert.equal(6, app.instance:invoke("g", 5))
    first:detach()
    app.lunette.intercept("f", function(_, n) error(app.instance.exports.e:exception(n * 10)) end)
    assert.equal(50, app.instance:invoke("g", 5))
    assert.same({ "before g 5", "before f 6", "abort f exception", "after g 6",
      "before g 5", "before f 5", "abort f exception", "after g 50" }, events)
    assert.equal("exception", failure(app.instance.invoke, app.instance, "f", 1).kind)
  end)

  it("does not keep a run from ending: stop, exhaustion", function()
    local app = open([[(module (import "env" "h" (func $h)) (func $f (export "f") (param i32) (call $h))
      (func $r (export "r") (call $r)) (func (export "g") (param i32) (call $f (local.get 0)) (call $f (local.get 0))))]], {
      imports = function(lunette) return { lunette.host("env", { h = { function() lunette.stop(3) end } }) } end,
    })
    local events = guest.hear(app, "*")
    app.lunette.intercept("f", function(call, n) pcall(call.proceed, call, n) end)
    local err = failure(app.instance.invoke, app.instance, "g", 1)
    assert.same({ "exit", 3 }, { err.kind, err.code })
    assert.same({ "before g 1", "before f 1", "before h", "abort h exit", "abort f exit", "abort g exit" }, events)
    local pairing = app.lunette.pairing()
    app.lunette.intercept("r", function(call) call:proceed() end)
    assert.equal("exhausted", failure(app.instance.invoke, app.instance, "r").kind)
    pairing:check()
    assert.is_true(pairing.aborts > 100)
  end)
end)

describe("R11 an interceptor that fails", function()
  local app, events

  before_each(function()
    app = open(double)
    events = guest.hear(app, "f")
  end)

  local function fails(interceptor, expected, text, options)
    local attachment = app.lunette.intercept("f", interceptor, options)
    local before = #app.messages
    assert.equal(expected, app.instance:invoke("f", 4))
    assert.is_truthy(app.messages[before + 1]:find(text, 1, true), app.messages[before + 1])
    assert.equal(expected, app.instance:invoke("f", 4)) -- muted from now on
    assert.equal(before + 1, #app.messages)
    assert.same({ 1, 1, 1 }, { attachment.errors, attachment.muted, attachment.calls })
    attachment:detach()
  end

  it("has not spoken: the call goes on without it, and it is asked no more", function()
    fails(function() error("oh no") end, 8, "oh no")
    fails({ params = function() error("oh no") end }, 8, "oh no")
    fails({ results = function() error("oh no") end }, 8, "oh no")
    assert.same({ "before f 4", "after f 8" }, { events[1], events[2] })
  end)

  it("leaves what came of proceeding", function()
    fails(function(call) call:proceed(4) error("late") end, 8, "late")
    local broken = open("(module (func (export \"f\") unreachable))")
    local heard = guest.hear(broken, "f")
    broken.lunette.intercept("f", function(call) pcall(call.proceed, call) error("late") end)
    local err = failure(broken.instance.invoke, broken.instance, "f")
    assert.same({ "trap", "unreachable" }, { err.kind, err.code })
    assert.is_truthy(#err.stack == 1)
    assert.same({ "before f", "abort f trap" }, heard)
  end)

  it("is told when its values do not fit, by count and by type", function()
    fails(function() end, 8, "it gave 0 results, the type has 1")
    fails(function() return 1, 2 end, 8, "it gave 2 results, the type has 1")
    fails(function() return "x" end, 8, "result 1 must be i32, not a string")
    fails(function() return 1 << 40 end, 8, "result 1 must be i32, not an integer out of range")
    fails({ params = function() return 1, 2 end }, 8, "it gave 2 params, the type has 1")
    fails({ params = function() return {} end }, 8, "param 1 must be i32, not table")
    fails({ results = function() return 0.5 end }, 8, "result 1 must be i32, not a fraction")
    fails(function(call) return call:proceed("x") end, 8, "f: value 1 must be i32, not a string")
    fails(function(call) return call:proceed(1, 2) end, 8, "f takes 1 values, got 2")
  end)

  it("can let a call proceed once, and only while it is at work", function()
    fails(function(call, n) call:proceed(n) return call:proceed(n) end, 8, "a call of f has proceeded already")
    fails({ params = function(call, n) return call:proceed(n) end }, 8,
      "only the interceptor that stands in place of a call can let it proceed")
    local kept, text
    app.lunette.intercept("f", function(call, n) kept = call return call:proceed(n) end)
    app.instance:invoke("f", 1)
    assert.is_truthy(failure(kept.proceed, kept):find("stale call", 1, true))
    app.lunette.on("f", function(call) text = failure(call.proceed, call).message end)
    app.instance:invoke("f", 1)
    assert.equal("only the interceptor that stands in place of a call can let it proceed", text)
  end)

  it("ends the run under on_error stop, and is told to a function", function()
    local attachment = app.lunette.intercept("f", function() error("enough") end, { on_error = "stop" })
    assert.equal("listener", failure(app.instance.invoke, app.instance, "f", 1).kind)
    attachment:detach()
    attachment = app.lunette.intercept("f", { results = function() error("enough") end }, { on_error = "stop" })
    assert.equal("listener", failure(app.instance.invoke, app.instance, "f", 1).kind)
    attachment:detach()
    local told
    app.lunette.intercept("f", function() error("a word") end, { on_error = function(text) told = text end })
    assert.equal(2, app.instance:invoke("f", 1))
    assert.is_truthy(told:find("a word", 1, true))
    assert.same({ "before f 1", "after f 2" }, { events[#events - 1], events[#events] })
  end)

  it("is refused where calls may not be changed, and where it is none", function()
    local plain = guest.open(double)
    assert.equal("intercept: changing calls needs lunette.session{unsafe=true}",
      failure(plain.lunette.intercept, "f", function() end):match("intercept:.*"))
    for _, case in ipairs({ { { { before = print } }, "an interceptor has no 'before'" },
      { { { result = print } }, "an interceptor has no 'result'; did you mean 'results'?" },
      { { {} }, "an interceptor needs params or results" }, { { 7 }, "an interceptor (a function, or a table" },
      { { print, { time = true } }, "time" }, { { { params = 1 } }, "params must be a function, got number" } }) do
      local text = failure(app.lunette.intercept, "f", table.unpack(case[1]))
      assert.is_truthy(tostring(text):find(case[2], 1, true), tostring(text))
    end
    local text = failure(app.lunette.intercept, { name = "f", min_time = "1ms" }, print)
    assert.is_truthy(tostring(text):find("who intercepts a call is known before it", 1, true), tostring(text))
    assert.equal(0, #app.messages)
  end)
end)

describe("R11 values of intercepted calls", function()
  it("are checked where they are references: a function of another type is refused", function()
    local app = open([[(module (type $t (func (result i32))) (type $u (func (param i64)))
      (func $one (export "one") (result i32) (i32.const 1)) (func $two (export "two") (result i32) (i32.const 2))
      (func $other (export "other") (param i64))
      (table 1 funcref) (table funcref (elem $one $two $other))
      (func $pick (export "pick") (param funcref) (result funcref) (local.get 0))
      (func (export "run") (result i32)
        (table.set 0 (i32.const 0) (call $pick (table.get 1 (i32.const 0)))) (call_indirect (type $t) (i32.const 0))))]])
    local exports = app.instance.exports
    assert.equal(1, app.instance:invoke("run"))
    local attachment = app.lunette.intercept("pick", { params = function() return exports.two end })
    assert.equal(2, app.instance:invoke("run"))
    attachment:detach()
    attachment = app.lunette.intercept("pick", function() return exports.other end)
    assert.equal("indirect call type mismatch", failure(app.instance.invoke, app.instance, "run").code)
    attachment:detach()
    local elsewhere = open(double)
    app.lunette.intercept("pick", function() return elsewhere.instance.exports.f end)
    assert.equal(1, app.instance:invoke("run"))
    assert.is_truthy(app.messages[1]:find("result 1 must be funcref, not a function of another session", 1, true))
  end)

  it("may be vectors, floats, several and host values", function()
    local app = open([[(module
      (func (export "f") (param v128 f32 externref i64) (result i64 externref f32 v128)
        (local.get 3) (local.get 2) (local.get 1) (local.get 0)))]])
    local thing, other = {}, {}
    local bytes, zeros = ("\1"):rep(16), ("\0"):rep(16)
    local values = table.pack(app.instance:invoke("f", bytes, 1.5, thing, 7))
    assert.same({ 7, thing, 1.5, bytes }, { values[1], values[2], values[3], values[4] })
    app.lunette.intercept("f", { params = function(_, v, x, e, n)
      assert(v == bytes and e == thing)
      return zeros, x + 1, other, n - 8
    end, results = function(_, n, e, x, v)
      assert(v == zeros and e == other and n == -1)
      return n - 1, nil, x * 2, bytes
    end })
    values = table.pack(app.instance:invoke("f", bytes, 1.5, thing, 7))
    assert.equal(0, #app.messages, app.messages[1])
    assert.same({ -2, 5.0, bytes }, { values[1], values[3], values[4] })
    assert.is_nil(values[2])
  end)
end)

describe("R11 the command", function()
  local command, files = require("spec.support.command"), require("spec.support.files")
  local app = [[(module (func $h) (func $f (export "f") (result i32) (call $h) (i32.const 1))
    (func (export "_start") (drop (call $f)) (drop (call $f)) (drop (call $f))))]]

  local function run(...)
    local folder <close> = files.temporary()
    files.write(folder .. "/app.wasm", require("spec.support.wat")(app))
    local args = { "run", ... }
    args[#args + 1] = folder .. "/app.wasm"
    return command.run(command.lunette, args)
  end

  it("refuses to change calls without --unsafe: status 101", function()
    local result = run("-e", "lunette.intercept('f', print)")
    assert.same({ 101, "lunette: -e:1: intercept: changing calls needs --unsafe\n" }, { result.status, result.stderr })
  end)

  it("R7 unloads a script with such calls open; calltree marks them", function()
    local folder <close> = files.temporary()
    files.write(folder .. "/app.wasm", require("spec.support.wat")(app))
    files.write(folder .. "/more.lua", 'lunette.intercept("f", { results = function(_, n) return n + 100 end })')
    local code = ([[lunette.load("%s/more.lua") local n = 0
      lunette.on("#0", function() n = n + 1 if n == 2 then lunette.unload("%s/more.lua") end end)]]):format(folder, folder)
    local result = command.run(command.lunette,
      { "run", "--unsafe", "-e", code, "-s", "calltree", "-w", "f", folder .. "/app.wasm" })
    assert.same({ 0, "f() = 101 [intercepted: results]\nf() = 1 [intercepted]\nf() = 1\n" }, { result.status, result.stderr })
  end)
end)

describe("tail calls whose params alone are intercepted", function()
  it("R18 run in constant memory, listened to or not, and listeners know", function()
    local app = guest.open([[(module
      (func $loop (export "loop") (param i32) (result i32)
        (if (result i32) (i32.eqz (local.get 0)) (then (i32.const 7))
          (else (return_call $loop (i32.sub (local.get 0) (i32.const 1)))))))]], { session = { unsafe = true } })
    app.lunette.intercept("loop", { params = function() end })
    assert.equal(7, app.instance:invoke("loop", 300000))
    local seen, ends = {}, {}
    local attachment = app.lunette.on("loop", {
      before = function(call) seen[call.intercepted or "not"] = true end,
      after = function(call) ends[call.intercepted or "not"] = true end,
    })
    assert.equal(7, app.instance:invoke("loop", 1000000))
    assert.same({ { unchanged = true }, { unchanged = true } }, { seen, ends })
    attachment:detach()
    local count = app.lunette.count{ quiet = true }
    app.lunette.on("loop", count)
    assert.equal(7, app.instance:invoke("loop", 1000000))
    assert.equal(1000001, count:table()[1].calls)
  end)
end)

describe("an intercepted call whose exception is caught further out", function()
  it("R11 gives back what it was counted for, each time", function()
    local app = guest.open([[(module
      (tag $t)
      (func $bad (export "bad") (throw $t))
      (func $leaf (export "leaf"))
      (func (export "loops") (param $n i32)
        (loop $again
          (try (do (call $bad)) (catch $t))
          (call $leaf)
          (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))))]],
      { session = { unsafe = true, limits = { max_depth = 3 } } })
    app.lunette.intercept("bad", function(call) return call:proceed() end)
    app.instance:invoke("loops", 20)
    app.lunette.intercept("bad", function() error("no callee was entered") end)
    app.instance:invoke("loops", 20)
  end)
end)

describe("calls intercepted in C", function()
  it("are changed, answered, let proceed and heard by the door alone; so are changes that are watched for", function()
    local c, files = require("spec.support.c"), require("spec.support.files")
    local folder <close> = files.temporary()
    files.write(folder .. "/guest.wasm", require("spec.support.wat")(files.read("spec/c/intercepts.wat")))
    assert.matches("^%d+ checks, 0 failed\n$", c("intercepts", folder .. "/guest.wasm"))
  end)
end)
