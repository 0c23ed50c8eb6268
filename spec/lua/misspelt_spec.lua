-- SPDX-License-Identifier: MIT
-- A misspelt function, field or method of any object of the API is an error that names the nearest one; so is setting it.

local api = require("lunette.api")
local guest = require("spec.support.guest")

after_each(guest.close_all)

-- An object of each class, as far as a session can give one: class → object. `use` is called while a call is at hand.
local function with_objects(use)
  local app = guest.open([[(module
    (table (export "table") 1 funcref) (memory (export "memory") 1) (global (export "global") i32 (i32.const 1))
    (tag (export "tag") (param i32))
    (func $f (export "f") (param $n i32))
    (func (export "run") (call $f (i32.const 1)))
    (func (export "trap") unreachable))]], { session = { output = "/dev/null" } })
  local lunette = app.lunette
  local err = guest.failure(app.instance.invoke, app.instance, "trap")
  local exports = app.instance.exports
  local attachment
  local objects = {
    lunette = lunette, module = app.module, instance = app.instance, ["function"] = exports.f, memory = exports.memory,
    global = exports.global, table = exports.table, tag = exports.tag, exception = exports.tag:exception(1), err = err,
    host = lunette.host("env", {}), pairing = lunette.pairing(), aggregation = lunette.count({ quiet = true }),
    timer = lunette.delay(100000, print), watch = lunette.on_grow(print), reading = lunette.arg(1),
    definition = exports.f.definition,
  }
  local used, event = false, nil
  objects.watch:detach()
  lunette.on_instance(function(made)
    event, objects.event = made, made
    use(objects, { event = true })
  end, { on_error = "stop" })
  attachment = lunette.on("f", function(call)
    objects.call, objects.frame, objects.stack, objects.attachment = call, call.caller, call:stack(), attachment
    objects.event = nil
    used = true
    use(objects)
  end, { time = true, on_error = "stop" })
  app.instance:invoke("run")
  assert.is_true(used)
  lunette.instantiate(app.module)
  assert.is_truthy(event)
end

local function member_names(class)
  local names = {}
  for _, row in ipairs(api.rows) do
    local owner, name = row[1]:match("^(%w+)[.:]([%w_]+)$")
    if owner == class then names[#names + 1] = name end
  end
  return names
end

describe("a misspelt member", function()
  it("of each class is an error with the nearest name", function()
    local seen = {}
    with_objects(function(objects, only)
      for class, object in pairs(objects) do
        for _, name in ipairs((not only or only[class]) and member_names(class) or {}) do
          local misspelt = name:sub(1, 1) .. "x" .. name:sub(2)
          local good, problem = pcall(function() return object[misspelt] end)
          assert.is_false(good, class .. "." .. misspelt)
          problem = tostring(problem)
          local told = problem:find("no such", 1, true)
          assert.is_truthy(told, ("%s.%s: %s"):format(class, misspelt, problem))
          local hint = ("did you mean '%s'?"):format(name)
          if #name > 3 then assert.is_truthy(problem:find(hint, 1, true), ("%s.%s: %s"):format(class, misspelt, problem)) end
        end
        seen[class] = true
      end
    end)
    for _, row in ipairs(api.rows) do
      local class = row[1]:match("^%w+")
      -- These are Lua tables or need more than a session: specs of their own look at them.
      if class ~= "script" and class ~= "fake" then assert.is_true(seen[class], class) end
    end
  end)

  it("of lunette.out is one, too", function()
    local lunette = guest.session({ output = "/dev/null" })
    local problem = guest.failure(function() lunette.out:pritnf("x") end)
    assert.matches("misspelt_spec.lua:%d+: out:pritnf: no such method; did you mean 'printf'%?$", problem)
  end)

  it("cannot be set either", function()
    with_objects(function(objects, only)
      for class, object in pairs(objects) do
        if class ~= "reading" and (not only or only[class]) then
          assert.is_false(pcall(function() object.nothing_of_the_kind = 1 end), class)
        end
      end
    end)
  end)
end)
