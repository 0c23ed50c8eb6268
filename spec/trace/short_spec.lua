-- SPDX-License-Identifier: MIT
-- The short way of calls that one listener hears (core/engine/run_heard.c), where it meets the other way and what asks for it.

local guest = require("spec.support.guest")

after_each(guest.close_all)

describe("a call that one listener hears", function()
  it("may begin while times are asked for and end when they no longer are", function()
    local timed
    local app = guest.open([[(module
      (import "env" "probe" (func $probe))
      (func $g (export "g"))
      (func $f (export "f") (result i32) (call $probe) (i32.const 1))
      (func $other (export "other"))
      (func (export "main") (call $g) (drop (call $f))))]], {
      imports = function(lunette) return { lunette.host("env", { probe = { function() timed:detach() end } }) } end,
    })
    -- Of the two on $g the second is the last at work: the next record lies where its call's did.
    app.lunette.on("g", function() end)
    app.lunette.on("g", { before = function() end, after = function() end })
    local counted = app.lunette.count{ by = app.lunette.result(1), quiet = true }
    app.lunette.on("f", counted)
    timed = app.lunette.on("other", { after = function() end }, { time = true })
    app.instance:invoke("main")
    local row = counted:table()[1]
    assert.same({ 1, 1 }, { row.key, row.calls })
  end)

  it("R17 is not heard by the attachment whose abort makes it, whatever becomes of it", function()
    local app = guest.open([[(module (func (export "trap") unreachable))]])
    local aborts, calls = 0, 0
    app.lunette.on("*", {
      before = function() calls = calls + 1 end,
      abort = function()
        aborts = aborts + 1
        guest.failure(app.instance.invoke, app.instance, "trap")
      end,
    })
    local heard = 0
    app.lunette.on("*", { before = function() heard = heard + 1 end })
    guest.failure(app.instance.invoke, app.instance, "trap")
    assert.same({ 1, 1, 2 }, { calls, aborts, heard })
    assert.same({}, app.messages)
  end)

  it("R17 may go on for as many runs as there can be where its attachment is reentrant", function()
    local app = guest.open([[(module (func (export "trap") unreachable))]])
    local aborts = 0
    app.lunette.on("*", {
      abort = function()
        aborts = aborts + 1
        pcall(app.instance.invoke, app.instance, "trap")
      end,
    }, { reentrant = true })
    guest.failure(app.instance.invoke, app.instance, "trap")
    assert.equal(200, aborts)
  end)
end)

describe("a message of a full aggregation", function()
  it("is told to a program's function when the guest has been left", function()
    local app, told, inside = nil, {}, nil
    app = guest.open([[(module
      (func $leaf (param i32))
      (func (export "go") (param $n i32)
        (loop $again
          (call $leaf (local.get $n))
          (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))))]], {
      session = { message = function(line)
        told[#told + 1] = line
        inside = select(2, pcall(app.instance.invoke, app.instance, "go", 3))
      end },
    })
    app.lunette.on("leaf", app.lunette.count{ by = app.lunette.arg(1), budget = 1000, quiet = true })
    app.instance:invoke("go", 1000)
    assert.equal(1, #told)
    assert.matches("its budget of 1000 bytes is used up", told[1])
    assert.is_nil(inside)
  end)
end)
