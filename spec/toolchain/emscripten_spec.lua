-- SPDX-License-Identifier: MIT
-- The Emscripten imports of a standalone module. The guest does what LLVM's lowering of setjmp and longjmp makes a module do
-- (WebAssemblyLowerEmscriptenEHSjLj.cpp, and emscripten_longjmp and setThrew of Emscripten's compiler-rt).

local guest = require("spec.support.guest")
local wat = require("spec.support.wat")

-- __THREW__ stands at 16, __threwValue at 20. `descend` goes n calls deep, takes 16 bytes of stack in each, and jumps with
-- value 42 to the jmp_buf of that address. `run` has setjmp's jmp_buf at 1024: it gives 42 where it was jumped to, else 0.
local text = [[(module $app
  (import "env" "invoke_vii" (func $invoke_vii (param i32 i32 i32)))
  (import "env" "_emscripten_throw_longjmp" (func $throw))
  (import "env" "emscripten_notify_memory_growth" (func $notify (param i32)))
  (import "host" "again" (func $again (param i32 i32)))
  (memory (export "memory") 1)
  (table (export "__indirect_function_table") 5 funcref)
  (elem (i32.const 1) $descend $run_other $through_host $fail)
  (global $sp (export "__stack_pointer") (mut i32) (i32.const 65536))
  (func (export "stackSave") (result i32) (global.get $sp))
  (func (export "stackRestore") (param i32) (global.set $sp (local.get 0)))
  (func $setThrew (export "setThrew") (param i32 i32)
    (if (i32.eqz (i32.load (i32.const 16)))
      (then (i32.store (i32.const 16) (local.get 0)) (i32.store (i32.const 20) (local.get 1)))))
  (func $emscripten_longjmp (param $env i32) (param $value i32)
    (call $setThrew (local.get $env) (local.get $value)) (call $throw) unreachable)
  (func $descend (export "descend") (param $n i32) (param $env i32)
    (global.set $sp (i32.sub (global.get $sp) (i32.const 16)))
    (if (local.get $n)
      (then (call $descend (i32.sub (local.get $n) (i32.const 1)) (local.get $env)))
      (else (if (local.get $env) (then (call $emscripten_longjmp (local.get $env) (i32.const 42))))))
    (global.set $sp (i32.add (global.get $sp) (i32.const 16))))
  (func $fail (param i32 i32) unreachable)
  (func $through_host (param i32 i32) (call $again (local.get 0) (local.get 1)))
  ;; Calls by invoke; gives the value where a longjmp to `buf` arrived, throws on one to another.
  (func $guarded (param $buf i32) (param $f i32) (param $n i32) (param $env i32) (result i32) (local $threw i32)
    (call $invoke_vii (local.get $f) (local.get $n) (local.get $env))
    (local.set $threw (i32.load (i32.const 16)))
    (i32.store (i32.const 16) (i32.const 0))
    (if (i32.eqz (local.get $threw)) (then (return (i32.const 0))))
    (if (i32.ne (local.get $threw) (local.get $buf))
      (then (call $emscripten_longjmp (local.get $threw) (i32.load (i32.const 20)))))
    (i32.load (i32.const 20)))
  (func $run_other (param $n i32) (param $env i32)
    (drop (call $guarded (i32.const 2048) (i32.const 1) (local.get $n) (local.get $env))))
  (func (export "run") (param $f i32) (param $n i32) (param $env i32) (result i32)
    (call $notify (i32.const 0))
    (call $guarded (i32.const 1024) (local.get $f) (local.get $n) (local.get $env))))]]

-- The app, and a list of what is heard of functions but the helpers; `again` is a host function that calls back.
local function open(again)
  local lunette, heard = guest.session(), {}
  again = again or function(call, n, env) call.instance:invoke("descend", n, env) end
  local host = lunette.host("host", { again = { params = { "i32", "i32" }, again } })
  local app = lunette.instantiate(lunette.module(wat(text)), { imports = { host } })
  local open_calls = 0
  lunette.factory(function(definition)
    if definition.name:find("^stack") or definition.name == "setThrew" then return nil end
    local function note(format, ...) heard[#heard + 1] = format:format(definition.name, ...) end
    return {
      before = function() open_calls = open_calls + 1; note("before %s") end,
      after = function() open_calls = open_calls - 1; note("after %s") end,
      abort = function(_, err) open_calls = open_calls - 1; note("abort %s: %s", err.kind) end,
    }
  end)
  return app, heard, function() return open_calls end
end

describe("Emscripten's longjmp", function()
  after_each(guest.close_all)

  it("aborts the calls between, each once, and those only; invoke_NAME gets its after (F6)", function()
    local app, heard, open_calls = open()
    assert.equal(42, app:invoke("run", 1, 1, 1024))
    assert.same({
      "before run", "before emscripten_notify_memory_growth", "after emscripten_notify_memory_growth", "before guarded",
      "before invoke_vii", "before descend", "before descend", "before emscripten_longjmp",
      "before _emscripten_throw_longjmp", "abort _emscripten_throw_longjmp: exception", "abort emscripten_longjmp: exception",
      "abort descend: exception", "abort descend: exception", "after invoke_vii", "after guarded", "after run",
    }, heard)
    assert.equal(0, open_calls())
  end)

  it("gives the stack pointer back, however deep it comes from, again and again", function()
    local app, _, open_calls = open()
    for _ = 1, 50 do
      assert.equal(42, app:invoke("run", 1, 1000, 1024))
      assert.equal(65536, app:global("__stack_pointer").value)
    end
    assert.equal(0, open_calls())
  end)

  it("does nothing where nobody jumps", function()
    local app, heard = open()
    assert.equal(0, app:invoke("run", 1, 3, 0))
    assert.is_nil(table.concat(heard, "\n"):find("abort"))
  end)

  it("goes on from a setjmp that it was not meant for to the one that it was", function()
    local app, heard, open_calls = open()
    assert.equal(42, app:invoke("run", 2, 2, 1024))
    assert.equal(0, app:invoke("run", 2, 2, 2048))
    assert.equal(0, open_calls())
    local all = table.concat(heard, "\n")
    assert.matches("after invoke_vii\nbefore emscripten_longjmp\nbefore _emscripten_throw_longjmp\nabort _emscripten",
      all, 1, true)
    assert.matches("abort run_other: exception\nafter invoke_vii\nafter guarded\nafter run", all, 1, true)
  end)

  it("passes through a host function that hands it on, and stops at one that swallows it", function()
    local app, heard, open_calls = open()
    assert.equal(42, app:invoke("run", 3, 1, 1024))
    local all = table.concat(heard, "\n")
    assert.matches("abort again: exception\nabort through_host: exception\nafter invoke_vii", all, 1, true)
    assert.equal(0, open_calls())
    local caught
    app, heard, open_calls = open(function(call, n, env)
      local good, err = pcall(call.instance.invoke, call.instance, "descend", n, env)
      caught = { good, err.kind }
    end)
    assert.equal(42, app:invoke("run", 3, 1, 1024)) -- __THREW__ was set, as it would be in a browser
    assert.same({ false, "exception" }, caught)
    assert.matches("after again\nafter through_host\nafter invoke_vii", table.concat(heard, "\n"), 1, true)
    assert.equal(0, open_calls())
  end)

  it("ends the run where nobody waits for it", function()
    local app = open()
    local good, err = pcall(app.invoke, app, "descend", 1, 1024)
    assert.is_false(good)
    assert.equal("exception", err.kind)
  end)
end)

describe("invoke_NAME", function()
  after_each(guest.close_all)

  it("catches no trap, no host error, no wrong index", function()
    local app, heard, open_calls = open(function() error("no", 0) end)
    for _, case in ipairs({
      { 4, "trap", "unreachable" }, { 3, "host", "no" }, { 0, "trap", "uninitialized element" },
      { 9, "trap", "undefined element" },
    }) do
      local good, err = pcall(app.invoke, app, "run", case[1], 0, 0)
      assert.is_false(good)
      assert.same({ case[2], case[3] }, { err.kind, err.message })
      assert.equal("abort run: " .. case[2], heard[#heard])
      assert.equal(0, open_calls())
    end
  end)

  it("passes values of all types and gives results; where 64-bit integers are split it calls dynCall_NAME", function()
    local lunette = guest.session()
    local app = lunette.instantiate(lunette.module(wat([[(module
      (import "env" "invoke_dif" (func $invoke_dif (param i32 i32 f32) (result f64)))
      (import "env" "invoke_jj" (func $invoke_jj (param i32 i64) (result i64)))
      (import "env" "invoke_ij" (func $invoke_ij (param i32 i32 i32) (result i32)))
      (import "env" "invoke_fd" (func $invoke_fd (param i32 f64) (result f32)))
      (import "env" "getTempRet0" (func $high (result i32)))
      (import "env" "setTempRet0" (func $set_high (param i32)))
      (table 3 funcref) (elem (i32.const 0) $sum $twice $half)
      (func $sum (param i32 f32) (result f64)
        (f64.add (f64.convert_i32_s (local.get 0)) (f64.promote_f32 (local.get 1))))
      (func $twice (param i64) (result i64) (i64.mul (local.get 0) (i64.const 2)))
      (func $half (param i64) (result i32) (i32.wrap_i64 (i64.shr_u (local.get 0) (i64.const 33))))
      (func (export "dynCall_ij") (param i32 i32 i32) (result i32)
        (call $set_high (i32.const 77))
        (call_indirect (param i64) (result i32)
          (i64.or (i64.extend_i32_u (local.get 1)) (i64.shl (i64.extend_i32_u (local.get 2)) (i64.const 32))) (local.get 0)))
      (func (export "dif") (result f64) (call $invoke_dif (i32.const 0) (i32.const -3) (f32.const 0.5)))
      (func (export "jj") (param i64) (result i64) (call $invoke_jj (i32.const 1) (local.get 0)))
      (func (export "ij") (result i32 i32) (call $invoke_ij (i32.const 2) (i32.const 1) (i32.const 200)) (call $high))
      (func (export "fd") (result f32) (call $invoke_fd (i32.const 1) (f64.const 1))))]])))
    assert.equal(-2.5, app:invoke("dif"))
    assert.equal(1 << 41, app:invoke("jj", 1 << 40))
    assert.same({ 100, 77 }, { app:invoke("ij") })
    local good, err = pcall(app.invoke, app, "fd")
    assert.is_false(good)
    assert.equal("indirect call type mismatch", err.message)
  end)

  it("leaves longjmp alone where the guest has no setThrew", function()
    local lunette = guest.session()
    local app = lunette.instantiate(lunette.module(wat([[(module
      (import "env" "invoke_v" (func $invoke_v (param i32)))
      (import "env" "emscripten_longjmp" (func $longjmp (param i32 i32)))
      (table 1 funcref) (elem (i32.const 0) $jump)
      (func $jump (call $longjmp (i32.const 8) (i32.const 0)))
      (func (export "run") (call $invoke_v (i32.const 0))))]])))
    local good, err = pcall(app.invoke, app, "run")
    assert.is_false(good)
    assert.equal("exception", err.kind)
  end)

  it("is left to whoever else has a function of that name", function()
    local lunette = guest.session()
    local more = { params = { "i32" }, results = { "i32" }, function(_, i) return i + 1 end }
    local host = lunette.host("env", { invoke_v = more })
    local bytes = wat([[(module (import "env" "invoke_v" (func $f (param i32) (result i32)))
      (func (export "run") (result i32) (call $f (i32.const 6))))]])
    assert.equal(7, lunette.instantiate(lunette.module(bytes), { imports = { host } }):invoke("run"))
  end)
end)
