-- SPDX-License-Identifier: MIT
-- The pairing checker (core/trace/pairing.c). That it finds nothing in all that the other specs run is theirs to say; here:
-- that it hears what it should, finds what is there to be found, and says so.

local c = require("spec.support.c")
local command = require("spec.support.command")
local files = require("spec.support.files")
local guest = require("spec.support.guest")
local run = require("spec.support.run")
local wat = require("spec.support.wat")

after_each(guest.close_all)

local text = [[(module
  (func $deep (export "deep") (param $n i32) (result i32)
    (if (result i32) (local.get $n)
      (then (i32.add (i32.const 1) (call $deep (i32.sub (local.get $n) (i32.const 1)))))
      (else (i32.const 0))))
  (func $leaf (export "leaf"))
  (func $trap (export "trap") (call $leaf) unreachable))]]

describe("the pairing checker", function()
  it("counts what it hears", function()
    local app = guest.open(text)
    local pairing = app.lunette.pairing()
    app.instance:invoke("deep", 9)
    guest.failure(app.instance.invoke, app.instance, "trap")
    assert.same({ 12, 11, 1, 0, 10, 0 }, { pairing.befores, pairing.afters, pairing.aborts, pairing.open, pairing.deepest,
      pairing.violations })
    assert.is_nil(pairing.first)
    pairing:check()
    assert.equal("pairing: 12 befores, 11 afters, 1 aborts, 0 open, 0 violations", tostring(pairing))
  end)

  it("walks the stack as often as it is told", function()
    local app = guest.open(text)
    local pairing = app.lunette.pairing({ walk = 2 })
    app.instance:invoke("deep", 9)
    assert.equal(10, pairing.walks)
  end)

  it("hears only the functions that it is given", function()
    local app = guest.open(text)
    local one, two = app.lunette.pairing({ where = "leaf" }), app.lunette.pairing({ where = { "*", "!deep" } })
    app.instance:invoke("deep", 3)
    app.instance:invoke("leaf")
    guest.failure(app.instance.invoke, app.instance, "trap")
    assert.same({ 2, 3 }, { one.befores, two.befores })
  end)

  it("tells of a call that is open still, and follows it to its end when detached", function()
    local app = guest.open(text)
    local pairing = app.lunette.pairing({ where = "trap" })
    local problem
    app.lunette.on("leaf", function()
      problem = guest.failure(pairing.check, pairing)
      pairing:detach()
    end)
    guest.failure(app.instance.invoke, app.instance, "trap")
    assert.is_truthy(tostring(problem):find("call %d+ of trap has neither after nor abort"))
    assert.same({ 1, 1, 0 }, { pairing.befores, pairing.aborts, pairing.open })
    guest.failure(app.instance.invoke, app.instance, "trap")
    assert.equal(1, pairing.befores)
  end)

  it("goes with the session, whether it is kept or not", function()
    local app = guest.open(text)
    app.lunette.pairing()
    collectgarbage()
    collectgarbage()
    app.instance:invoke("leaf")
    local pairing = app.lunette.pairing()
    app.lunette.close()
    assert.is_truthy(tostring(pairing):find("its session is closed", 1, true))
  end)

  it("refuses options that it does not have", function()
    local app = guest.open(text)
    assert.is_truthy(guest.failure(app.lunette.pairing, { were = "*" }):find("did you mean 'where'?", 1, true))
    assert.is_truthy(guest.failure(app.lunette.pairing, { where = { 1, {} } }):find("pattern", 1, true))
    assert.is_truthy(tostring(guest.failure(app.lunette.pairing, { where = "[" })):find("[", 1, true))
    assert.is_truthy(guest.failure(app.lunette.pairing, { walk = -1 }):find("walk", 1, true))
    assert.is_truthy(guest.failure(app.lunette.pairing, 3):find("must be a table", 1, true))
  end)

  it("works in a script", function()
    local result = run({ "run", "--strict", "-e", "p = lunette.pairing() lunette.at_exit(function() print(p) end)", "--invoke",
      "deep", "app.wasm", "4", guest = text })
    assert.equal(0, result.status, result.stderr)
    assert.is_truthy(result.stderr:find("pairing: 5 befores, 5 afters, 0 aborts, 0 open, 0 violations", 1, true))
  end)
end)

describe("the pairing checker in C", function()
  local folder
  setup(function()
    folder = files.temporary()
    files.write(folder .. "/rules.wasm", wat(files.read("spec/c/rules.wat")))
  end)
  teardown(function() files.remove(folder.path) end)

  it("sees a param with an upper half, says so once, and ends the run", function()
    -- Whose listener has put it there does not come so far in a build that looks for it.
    if command.checks_params() then return end
    local said = c("soak", folder .. "/rules.wasm", "violate")
    local sentence = "pairing: call 3 of leaf: param 1 has an upper half: 0x1000000000c"
    assert.equal(("listener: %s\n1 violations, the first: %s\nlistener: %s\n"):format(sentence, sentence, sentence), said)
  end)

  it("finds nothing in a long run with listeners that come and go, fail, call the guest and end the run", function()
    for seed = 1, 3 do
      assert.matches(", 0 violations\n$", c("soak", folder .. "/rules.wasm", 200000, seed))
    end
  end)
end)
