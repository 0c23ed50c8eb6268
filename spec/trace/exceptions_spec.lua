-- SPDX-License-Identifier: MIT
-- R1 and R4 with exceptions: the frames between a throw and the frame that catches are aborted, innermost first and no others.

local guest = require("spec.support.guest")
local wat = require("spec.support.wat")

after_each(guest.close_all)

local failure = guest.failure

-- Notes every event of the functions: "abort f exception caught".
local function hear(session, where, list)
  list = list or {}
  local function note(...) list[#list + 1] = table.concat({ ... }, " ") end
  session.on(where or "*", {
    before = function(call) note("before", call.name) end,
    after = function(call) note(call.tail and "tail" or "after", call.name) end,
    abort = function(call, err) note("abort", call.name, err.kind .. (err.caught and " caught" or "")) end,
  })
  return list
end

local text = [[
  (module $app
    (import "env" "host" (func $host (param i32)))
    (tag $e (export "e") (param i32))
    (tag $unused)
    (func $throws (export "throws") (param i32) (throw $e (local.get 0)))
    (func $between (export "between") (param i32) (call $throws (local.get 0)))
    (func $same (export "same") (result i32) (try (result i32) (do (throw $e (i32.const 5))) (catch $e)))
    (func $catches (export "catches") (result i32)
      (try (result i32) (do (call $between (i32.const 6)) (i32.const 0)) (catch $e)))
    (func $outer (export "outer") (result i32) (call $catches))
    (func $misses (export "misses") (result i32)
      (try (result i32) (do (call $between (i32.const 7)) (i32.const 0)) (catch $unused (i32.const 1))))
    (func $rethrows (export "rethrows")
      (try (do (call $throws (i32.const 8))) (catch_all (rethrow 0))))
    (func $over (export "over") (result i32)
      (try (result i32) (do (call $rethrows) (i32.const 0)) (catch $e)))
    (func $delegates (export "delegates") (result i32)
      (try $out (result i32)
        (do (try (do (try (do (call $throws (i32.const 9))) (delegate $out))) (catch_all)) (i32.const 0))
        (catch $e)))
    (func $delegates_out (export "delegates_out")
      (try (do (try (do (call $throws (i32.const 10))) (delegate 1))) (catch_all)))
    (func $deep (export "deep") (param i32)
      (if (local.get 0) (then (call $deep (i32.sub (local.get 0) (i32.const 1)))) (else (throw $e (i32.const 1)))))
    (func $shallow (export "shallow") (param i32) (result i32)
      (try (result i32) (do (call $deep (local.get 0)) (i32.const 0)) (catch $e)))
    (func $tails (export "tails") (return_call $throws (i32.const 11)))
    (func $over_tail (export "over_tail") (result i32)
      (try (result i32) (do (call $tails) (i32.const 0)) (catch $e)))
    (func $through (export "through") (param i32) (result i32)
      (try (result i32) (do (call $host (local.get 0)) (i32.const 0)) (catch $e)))
    (func $twice (export "twice") (result i32)
      (try (do (call $throws (i32.const 1))) (catch $e drop))
      (try (result i32) (do (call $throws (i32.const 2)) (i32.const 0)) (catch $e))))]]

-- The host function calls back: what it is given is the name's number.
local function open(host)
  local app
  app = guest.open(text, { imports = function(lunette)
    return { lunette.host("env", { host = { params = { "i32" }, function(_, n) if host then host(app, n) end end } }) }
  end })
  return app, app.instance
end

local function heard(name, ...)
  local app, instance = open()
  local list = hear(app.lunette)
  local result = table.pack(pcall(instance.invoke, instance, name, ...))
  return list, result[2]
end

describe("R4 an exception", function()
  it("that its own frame catches aborts nothing", function()
    local list, result = heard("same")
    assert.same({ "before same", "after same" }, list)
    assert.equal(5, result)
  end)

  it("that a caller catches aborts the frames between, and those only", function()
    local list, result = heard("outer")
    assert.same({
      "before outer", "before catches", "before between", "before throws", "abort throws exception caught",
      "abort between exception caught", "after catches", "after outer",
    }, list)
    assert.equal(6, result)
  end)

  it("that nobody catches aborts all", function()
    local list, err = heard("misses")
    assert.same({
      "before misses", "before between", "before throws", "abort throws exception", "abort between exception",
      "abort misses exception",
    }, list)
    assert.same({ "exception", 7 }, { err.kind, err.values[1] })
  end)

  it("that is thrown again goes on from there", function()
    local list, result = heard("over")
    assert.same({
      "before over", "before rethrows", "before throws", "abort throws exception caught", "abort rethrows exception caught",
      "after over",
    }, list)
    assert.equal(8, result)
    list = heard("rethrows")
    assert.same({ "before rethrows", "before throws", "abort throws exception caught", "abort rethrows exception" }, list)
  end)

  it("that is delegated passes by the handlers between", function()
    local list, result = heard("delegates")
    assert.same({ "before delegates", "before throws", "abort throws exception caught", "after delegates" }, list)
    assert.equal(9, result)
    list = heard("delegates_out")
    assert.same({ "before delegates_out", "before throws", "abort throws exception", "abort delegates_out exception" }, list)
  end)

  it("holds at any depth", function()
    for _, depth in ipairs({ 1, 30, 31, 1000, 20000 }) do
      local app, instance = open()
      local open_calls, aborts = 0, 0
      app.lunette.on("*", {
        before = function() open_calls = open_calls + 1 end,
        after = function() open_calls = open_calls - 1 end,
        abort = function(_, err) open_calls, aborts = open_calls - 1, aborts + (err.caught and 1 or 0) end,
      })
      assert.equal(1, instance:invoke("shallow", depth))
      assert.same({ 0, depth + 1 }, { open_calls, aborts })
    end
  end)

  it("aborts only what is listened to, in a guest that otherwise runs the same", function()
    local app, instance = open()
    local list = hear(app.lunette, "between")
    assert.equal(6, instance:invoke("outer"))
    assert.same({ "before between", "abort between exception caught" }, list)
  end)

  it("tells its values, its stack and where it was thrown, also when it is not the first of its run", function()
    local app, instance = open()
    local told = {}
    app.lunette.on("throws", { abort = function(call, err)
      told[#told + 1] = { err.values[1], err.tag == instance.exports.e, #err.stack, err.stack[1].offset ~= nil,
        call:stack()[1].offset == err.stack[1].offset, err.message }
    end })
    assert.equal(2, instance:invoke("twice"))
    assert.same({ { 1, true, 2, true, true, "e(1)" }, { 2, true, 2, true, true, "e(2)" } }, told)
  end)

  it("is one err object for all whom it is told", function()
    local app, instance = open()
    local seen = {}
    app.lunette.on("*", { abort = function(_, err) seen[#seen + 1] = err end })
    instance:invoke("outer")
    assert.is_true(#seen == 2 and rawequal(seen[1], seen[2]))
    assert.is_true(seen[1].caught)
    assert.same({ 6 }, seen[1].values)
    local err = failure(instance.invoke, instance, "misses")
    assert.is_true(#seen == 5 and rawequal(seen[3], err) and rawequal(seen[5], err))
  end)

  it("ends a tail call's callee, whose caller was closed before (R18)", function()
    local list, result = heard("over_tail")
    assert.same({
      "before over_tail", "before tails", "tail tails", "before throws", "abort throws exception caught", "after over_tail",
    }, list)
    assert.equal(11, result)
  end)
end)

describe("R16 an exception and a host function", function()
  it("that hands it on: the run inside ends, and the frame outside catches", function()
    local app, instance = open(function(app, n) app.instance:invoke("between", n) end)
    local list = hear(app.lunette)
    assert.equal(12, instance:invoke("through", 12))
    assert.same({
      "before through", "before host", "before between", "before throws", "abort throws exception",
      "abort between exception", "abort host exception caught", "after through",
    }, list)
  end)

  it("that swallows it ends with after", function()
    local app, instance = open(function(app, n) pcall(app.instance.invoke, app.instance, "between", n) end)
    local list = hear(app.lunette)
    assert.equal(0, instance:invoke("through", 13))
    assert.same({
      "before through", "before host", "before between", "before throws", "abort throws exception",
      "abort between exception", "after host", "after through",
    }, list)
  end)

  it("that throws it is aborted as caught", function()
    local app, instance = open(function(app, n) error(app.instance.exports.e:exception(n + 1)) end)
    local list = hear(app.lunette)
    assert.equal(15, instance:invoke("through", 14))
    assert.same({ "before through", "before host", "abort host exception caught", "after through" }, list)
  end)

  it("that calls deeper and deeper", function()
    local app, instance = open(function(app, n)
      local result = app.instance:invoke("through", n - 1 > 0 and n - 1 or 0)
      if n == 0 then error("unreachable") end
      if n == 1 then error(app.instance.exports.e:exception(50)) end
      if result == 50 or result > 50 then error(app.instance.exports.e:exception(result + 1)) end
    end)
    local calls = { before = 0, after = 0, abort = 0 }
    app.lunette.on("*", {
      before = function() calls.before = calls.before + 1 end,
      after = function() calls.after = calls.after + 1 end,
      abort = function() calls.abort = calls.abort + 1 end,
    })
    local ok = pcall(instance.invoke, instance, "through", 20)
    assert.is_true(ok ~= nil and calls.before > 40)
    assert.equal(calls.before, calls.after + calls.abort)
  end)
end)

describe("between instances", function()
  it("an exception crosses frames of others, and what runs on has its own memory", function()
    local session = guest.session()
    local lib = session.instantiate(session.module({ name = "lib", bytes = wat([[
      (module $lib (memory 1) (data (i32.const 0) "\01")
        (tag $e (export "e") (param i32))
        (func $lib_throws (export "throws") (throw $e (i32.load8_u (i32.const 0)))))]]) }))
    local mid = session.instantiate(session.module({ name = "mid", bytes = wat([[
      (module $mid (import "lib" "throws" (func $lib_throws)) (memory 1) (data (i32.const 0) "\02")
        (func $mid_calls (export "calls") (call $lib_throws))
        (func $mid_tails (export "tails") (return_call $lib_throws)))]]) }), { imports = { lib = lib } })
    local app = session.instantiate(session.module({ name = "app", bytes = wat([[
      (module $app (import "lib" "e" (tag $e (param i32))) (import "mid" "calls" (func $mid_calls))
        (import "mid" "tails" (func $mid_tails)) (memory 1) (data (i32.const 0) "\04")
        (table funcref (elem $mid_calls $mid_tails))
        (func $app_catches (export "run") (param i32) (result i32)
          (try (result i32) (do (call_indirect (local.get 0)) (i32.const 0))
            (catch $e (i32.add (i32.load8_u (i32.const 0)))))))]]) }), { imports = { lib = lib, mid = mid } })
    for round = 1, 2 do
      for way = 0, 1 do assert.equal(5, app:invoke("run", way)) end
      if round == 1 then
        local list = hear(session)
        assert.equal(5, app:invoke("run", 0))
        assert.same({ "before app_catches", "before mid_calls", "before lib_throws", "abort lib_throws exception caught",
          "abort mid_calls exception caught", "after app_catches" }, list)
        for i = #list, 1, -1 do list[i] = nil end
        assert.equal(5, app:invoke("run", 1))
        assert.same({ "before app_catches", "before mid_tails", "tail mid_tails", "before lib_throws",
          "abort lib_throws exception caught", "after app_catches" }, list)
      end
    end
  end)
end)

describe("while calls are told that an exception passes", function()
  it("a callback may call the guest, which throws and catches in turn", function()
    local app, instance = open()
    local results = {}
    app.lunette.on("throws", { abort = function() results[#results + 1] = instance:invoke("catches") end })
    assert.equal(6, instance:invoke("outer"))
    assert.same({ 6 }, results)
    for _ = 1, 3000 do instance:invoke("outer") end
    assert.equal(3001, #results)
  end)

  it("a callback may end the run: the frame that would have caught is aborted with it", function()
    local app, instance = open()
    local list = hear(app.lunette, { "catches", "outer", "between" })
    app.lunette.on("throws", { abort = function() app.lunette.stop(3) end })
    local err = failure(instance.invoke, instance, "outer")
    assert.same({ "exit", 3 }, { err.kind, err.code })
    assert.same({ "before outer", "before catches", "before between", "abort between exception caught", "abort catches exit",
      "abort outer exit" }, list)
  end)

  it("a callback may close the instance that would have caught", function()
    local app, instance = open()
    local list = hear(app.lunette, { "catches", "outer", "between" })
    app.lunette.on("throws", { abort = function() instance:close() end })
    assert.equal("exit", failure(instance.invoke, instance, "outer").kind)
    assert.same({ "before outer", "before catches", "before between", "abort between exception caught", "abort catches exit",
      "abort outer exit" }, list)
  end)

  it("a listener that fails with on_error=stop ends the run there", function()
    local app, instance = open()
    app.lunette.on("between", { abort = function() error("I give up") end }, { on_error = "stop" })
    local err = failure(instance.invoke, instance, "outer")
    assert.equal("listener", err.kind)
    assert.matches("I give up", err.message)
  end)
end)

describe("R24 with exceptions", function()
  it("a guest gives the same with listeners as without", function()
    for _, name in ipairs({ "same", "catches", "outer", "misses", "rethrows", "over", "delegates", "delegates_out", "over_tail",
      "twice" }) do
      local app, instance = open()
      local function try()
        local result = table.pack(pcall(instance.invoke, instance, name))
        return result[1], result[1] and result[2] or result[2].message
      end
      local plain = { try() }
      local attachment = app.lunette.on("*", { before = function() end, after = function() end, abort = function() end })
      assert.same(plain, { try() })
      attachment:detach()
      assert.same(plain, { try() })
    end
  end)
end)

describe("a host function that asks for the end and then throws", function()
  it("ends the run, also where the guest catches that and nobody listens", function()
    local session = guest.session()
    local tag = session.tag({ params = { "i32" } })
    local module = session.module(wat([[(module (import "env" "t" (tag $t (param i32))) (import "env" "host" (func $host))
      (func (export "run") (try (do (call $host)) (catch $t drop))))]]))
    local instance = session.instantiate(module, { imports = { env = { t = tag, host = { params = {}, function()
      session.stop(3)
      error(tag:exception(1))
    end } } } })
    local err = failure(instance.invoke, instance, "run")
    assert.same({ "exit", 3 }, { err.kind, err.code })
  end)
end)
