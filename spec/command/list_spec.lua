-- SPDX-License-Identifier: MIT
-- lunette list, scripts and help TOPIC.

local run = require("spec.support.run")

local guest = [[(module
  (import "env" "log" (func $log (param i32)))
  (import "env" "base" (global i32))
  (memory (export "memory") 1 2)
  (func $add (export "add") (export "plus") (param $a i32) (param $b i32) (result i32) (i32.add (local.get 0) (local.get 1)))
  (func $a_long_name (param i64) (result f64 f32) (f64.const 0) (f32.const 0))
  (func (export "_start")))]]

describe("lunette list", function()
  it("shows functions, imports and exports", function()
    local result = run { guest = guest, "list", "app.wasm" }
    assert.equal([[
functions
  #0  log          (i32)                    import env.log
  #1  add          (a: i32, b: i32) -> i32  export add, export plus
  #2  a_long_name  (i64) -> (f64, f32)
  #3  _start       ()                       export _start

imports
  env.log   function (i32)
  env.base  global i32

exports
  memory  memory 1..2 pages
  add     function (a: i32, b: i32) -> i32
  plus    function (a: i32, b: i32) -> i32
  _start  function ()
]], result.stdout)
    assert.equal("", result.stderr)
    assert.equal(0, result.status)
  end)

  it("shows the functions of -w alone", function()
    local result = run { guest = guest, "list", "-w", "a*", "-w", "!add", "app.wasm" }
    assert.equal("functions\n  #2  a_long_name  (i64) -> (f64, f32)\n", result.stdout)
  end)

  it("says where none is", function()
    local result = run { guest = guest, "list", "-w", "addd", "app.wasm" }
    assert.equal("", result.stdout)
    assert.equal('lunette: where "addd" matches no function\nhint: did you mean add?\n', result.stderr)
    assert.equal(0, result.status)
  end)

  it("shows an empty module as nothing", function()
    local result = run { guest = "(module)", "list", "app.wasm" }
    assert.equal("", result.stdout .. result.stderr)
    assert.equal(0, result.status)
  end)
end)

describe("lunette scripts", function()
  it("names each script with its question and options", function()
    local result = run { "scripts" }
    assert.equal("", result.stderr)
    assert.equal(0, result.status)
    local question = "Which function calls which, with what arguments, and what comes back?\n"
    assert.is_truthy(result.stdout:find("calltree  " .. question, 1, true))
    assert.is_truthy(result.stdout:find("\n +depth=100 +how many levels are shown\n"))
    assert.is_truthy(result.stdout:find("\ncount     How often was each function called?\n", 1, true))
  end)
end)

describe("lunette help", function()
  it("explains a script", function()
    local result = run { "help", "calltree" }
    assert.equal(0, result.status)
    local question = "calltree: Which function calls which, with what arguments, and what comes back?\n"
    assert.equal(question, result.stdout:sub(1, #question))
    local options = "\noptions, as in -s calltree,depth=…:\n  depth=100       how many levels are shown\n"
    assert.is_truthy(result.stdout:find(options, 1, true))
  end)

  it("explains a name of the Lua API", function()
    for _, name in ipairs({ "on", "lunette.on", "at_exit" }) do
      local result = run { "help", name }
      assert.equal("", result.stderr)
      assert.equal(0, result.status)
      assert.is_truthy(result.stdout:find(name, 1, true), result.stdout)
    end
  end)

  it("names what is nearest to an unknown topic", function()
    local result = run { "help", "calltre" }
    assert.equal('lunette: there is no help on "calltre"\nhint: did you mean calltree?\n', result.stderr)
    assert.equal(64, result.status)
    assert.equal('lunette: there is no help on "frobnicate"\n'
      .. "hint: topics are the commands, the scripts (lunette scripts) and the Lua API\n", run({ "help", "frobnicate" }).stderr)
  end)
end)
