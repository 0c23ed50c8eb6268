-- SPDX-License-Identifier: MIT
-- lunette.on, factory, multi, their options and what is said when they are misused; call objects.

local guest = require("spec.support.guest")

local failure = guest.failure

local text = [[(module
  (import "env" "log" (func $log (param i32)))
  (memory (export "mem") 1)
  (func $main (export "main") (call $leaf (i32.const 1) (i64.const 2)) (call $log (i32.const 3)))
  (func $leaf (param $x i32) (param $y i64))
  (func $leaf_two (export "two") (call $leaf (i32.const 5) (i64.const 6))))]]

local function open()
  return guest.open(text, { imports = function() return { env = { log = { params = { "i32" }, function() end } } } end })
end

local function heard(app, where, options)
  local names = {}
  local attachment = app.lunette.on(where, function(call) names[#names + 1] = call.name end, options)
  app.instance:invoke("main")
  app.instance:invoke("two")
  attachment:detach()
  return table.concat(names, " ")
end

after_each(guest.close_all)

describe("where", function()
  for where, names in pairs({
    ["*"] = "main leaf log leaf_two leaf", ["leaf*"] = "leaf leaf_two leaf", ["=leaf"] = "leaf leaf", ["host:*"] = "log",
    ["import:env.*"] = "log", ["export:*"] = "main leaf_two", ["#1"] = "main", ["#1-2"] = "main leaf leaf",
    ["!leaf*"] = "main log",
  }) do
    it("may be the pattern " .. where, function() assert.equal(names, heard(open(), where)) end)
  end

  it("may be a list, included less excluded", function()
    assert.equal("main leaf_two", heard(open(), { "*", "!leaf", "!log" }))
    assert.equal("main leaf_two", heard(open(), { "!leaf", "main", "leaf*" }))
  end)

  it("may be a table of conditions that all hold", function()
    for _, case in ipairs({
      { { name = "leaf*" }, "leaf leaf_two leaf" }, { { name = { "leaf*", "!leaf" } }, "leaf_two" },
      { { import = true }, "log" },
      { { import = false, export = false }, "leaf leaf" }, { { export = "two" }, "leaf_two" }, { { host = true }, "log" },
      { { host = false, name = "l*" }, "leaf leaf_two leaf" }, { { index = 1 }, "main" },
      { { index = { 2, 3 } }, "leaf leaf_two leaf" },
      { { module = "env" }, "log" }, { { import = "env.*" }, "log" },
    }) do assert.equal(case[2], heard(open(), case[1])) end
  end)

  it("may be a function of the definition", function()
    assert.equal("leaf leaf", heard(open(), function(definition) return #definition.params == 2 end))
  end)

  it("that matches nothing is told with what may have been meant", function()
    local app = open()
    app.lunette.on("laef", print)
    app.lunette.on("leaf", print)
    app.lunette.on(function() return false end, print)
    assert.same({ 'where "laef" matches no function\nhint: did you mean leaf?' }, app.messages)
  end)

  it("that matches nothing is an error with strict", function()
    local app = guest.open("(module (func $leaf))", { session = { strict = true } })
    assert.is_truthy(failure(app.lunette.on, "laef", print):find('where "laef" matches no function', 1, true))
  end)

  it("is judged when the first instance is made", function()
    local session, messages = guest.session()
    session.on("foo", print)
    session.on("bar", print)
    assert.same({}, messages)
    session.instantiate(session.module(require("spec.support.wat")("(module (func $bar))")))
    assert.equal(1, #messages)
  end)

  it("that makes no sense is an error at its place", function()
    local app = open()
    for _, case in ipairs({
      { nil, "a where expected, got nil" }, { 7, "a pattern or a list of patterns expected, got number" },
      { { 7 }, "pattern 1 is a number" }, { { nmae = "x" }, "where.nmae: no such field; did you mean 'name'?" },
      { { host = "x" }, "true or false expected" }, { "[a", "[a" },
    }) do
      local problem = failure(app.lunette.on, case[1], print)
      assert.is_truthy(problem:find(case[2], 1, true), problem)
      local at = failure(function() app.lunette.on(case[1], print) end)
      assert.is_truthy(at:find("listening_spec.lua:%d+: "), at)
    end
  end)

  it("holds no NUL byte", function()
    local app = open()
    for i, where in ipairs({ "leaf\0x", { "main", "leaf\0" }, { name = "leaf\0" }, { export = "\0" }, { module = "app\0" } }) do
      assert.is_truthy(failure(app.lunette.on, where, print):find("a pattern can't hold a NUL byte", 1, true), i)
    end
  end)
end)

describe("a listener", function()
  it("is checked when it is attached", function()
    local app = open()
    for _, case in ipairs({
      { 7, "a listener (a function, an aggregation, or a table with before, after, abort) expected" },
      { {}, "a listener needs one of before, after, abort" },
      { { befor = print }, "a listener has no 'befor'; did you mean 'before'?" },
      { { before = 7 }, "a listener's before must be a function, got number" },
    }) do
      local problem = failure(app.lunette.on, "leaf", case[1])
      assert.is_truthy(problem:find(case[2], 1, true), problem)
    end
  end)

  it("may be an object with more in it, found through its metatable", function()
    local app = open()
    local Counter = { before = function() end }
    Counter.__index = Counter
    local attachment = app.lunette.on("leaf", setmetatable({ count = 0 }, Counter))
    app.instance:invoke("main")
    assert.equal(1, attachment.calls)
  end)

  it("may want after alone", function()
    local app = open()
    local calls = 0
    local attachment = app.lunette.on("leaf", { after = function(call)
      calls = calls + 1
      call.data = 1
    end })
    app.instance:invoke("main")
    assert.same({ 1, 1 }, { calls, attachment.calls })
  end)
end)

describe("options", function()
  it("are checked", function()
    local app = open()
    for _, case in ipairs({
      { { parms = true }, "no such option: parms; did you mean 'params'?" }, { 7, "options must be a table" },
      { { on_error = "explode" }, 'on_error must be "report"' },
    }) do
      local problem = failure(app.lunette.on, "leaf", print, case[1])
      assert.is_truthy(problem:find(case[2], 1, true), problem)
    end
  end)

  it("give the attachment its name", function()
    assert.equal("mine", open().lunette.on("leaf", print, { name = "mine" }).name)
    assert.is_nil(open().lunette.on("leaf", print).name)
  end)
end)

describe("an attachment", function()
  it("counts", function()
    local app = open()
    local attachment = app.lunette.on("leaf*", function(_, x) if x == 5 then error("five") end end)
    assert.same({ 2, 0, 0, 0 }, { attachment.functions, attachment.calls, attachment.errors, attachment.muted })
    app.instance:invoke("main")
    app.instance:invoke("two")
    assert.same({ 2, 3, 1, 1 }, { attachment.functions, attachment.calls, attachment.errors, attachment.muted })
    attachment:detach()
    attachment:detach({ drop = true })
    assert.same({ 0, 3, 1, 1 }, { attachment.functions, attachment.calls, attachment.errors, attachment.muted })
    assert.equal("attachment (detached)", (tostring(attachment):gsub(" +", " ")))
  end)
end)

describe("factory", function()
  it("takes a where for those that it is asked about", function()
    local app = open()
    local asked = {}
    app.lunette.factory(function(definition)
      asked[#asked + 1] = definition.name
      return nil
    end, { where = "leaf*" })
    assert.same({ "leaf", "leaf_two" }, asked)
  end)

  it("may answer a function", function()
    local app = open()
    local calls = {}
    app.lunette.factory(function(definition)
      local name = definition.name
      return function(_, ...) calls[#calls + 1] = { name, ... } end
    end)
    app.instance:invoke("main")
    assert.same({ { "main" }, { "leaf", 1, 2 }, { "log", 3 } }, calls)
  end)

  it("that fails for an instance made later is told, and the instance is made", function()
    local app = open()
    local broken = false
    app.lunette.factory(function() if broken then error("broken") end end)
    broken = true
    local other = app.lunette.instantiate(app.module, { imports = { env = { log = { params = { "i32" }, function() end } } } })
    other:invoke("main")
    assert.equal(1, #app.messages)
    assert.is_truthy(app.messages[1]:find("broken", 1, true))
  end)

  it("refuses what is no factory", function()
    local app = open()
    assert.is_truthy(failure(app.lunette.factory, 7):find("a factory (a function) expected, got number", 1, true))
    assert.is_truthy(failure(app.lunette.multi):find("at least one factory expected", 1, true))
    assert.is_truthy(failure(app.lunette.multi, print, 7):find("argument 2 is no factory but a number", 1, true))
  end)

  it("may be a multi of multis", function()
    local app = open()
    local list = {}
    local function named(name)
      return function(definition) return definition.name == "main" and function() list[#list + 1] = name end end
    end
    local multi = app.lunette.multi
    local attachment = app.lunette.factory(multi(named("a"), multi(named("b"), named("c"))))
    app.instance:invoke("main")
    assert.same({ "a", "b", "c" }, list)
    assert.equal(3, attachment.calls)
  end)
end)

describe("call", function()
  it("tells what it knows", function()
    local app = open()
    local seen
    app.lunette.on("leaf", function(call, x, y)
      seen = { call.name, call.depth, call.is_host, x, y, call:param(1), call:param("y"), call:uparam("x") }
      assert.is_true(call.instance == app.instance and call.memory == app.instance.memory)
      assert.is_true(call.definition == app.module:functions("leaf")[1])
      assert.equal("main", call.caller.definition.name)
      assert.equal("integer", math.type(call.caller.offset))
      assert.equal("call of leaf", tostring(call))
    end)
    app.instance:invoke("main")
    assert.same({}, app.messages)
    assert.same({ "leaf", 1, false, 1, 2, 1, 2, 1 }, seen)
  end)

  it("refuses params that are not there and fields that do not exist", function()
    local app = open()
    local problems = {}
    app.lunette.on("leaf", function(call)
      for i, use in ipairs({
        function() return call:param(3) end, function() return call:param(0) end, function() return call:param("xx") end,
        function() return call:bits(9) end, function() return call.nmae end, function() call.name = 1 end,
        function() return call.param() end, function() return call.time end,
      }) do problems[i] = failure(use) end
    end)
    app.instance:invoke("main")
    for i, pattern in ipairs({ "leaf has 2 params, there is no number 3", "no number 0", "leaf has no param 'xx'",
      "no number 9", "call.nmae: no such field; did you mean 'name'?", "call.name can't be set", "call expected",
      "call.time was not asked for; attach with time=true" }) do
      assert.is_truthy(problems[i]:find(pattern, 1, true), problems[i])
    end
  end)

  it("can be kept as a table", function()
    local app = open()
    local kept
    app.lunette.on("leaf", function(call)
      call.data = "mine"
      kept = call:keep()
    end)
    app.instance:invoke("main")
    assert.same({ "leaf", 1, "mine", { 1, 2 }, false }, { kept.name, kept.depth, kept.data, kept.params, kept.is_host })
    assert.is_true(kept.instance == app.instance)
  end)

  it("is one object per depth, used again", function()
    local app = guest.open([[(module (func $f (export "f") (param i32)
      (if (local.get 0) (then (call $f (i32.sub (local.get 0) (i32.const 1)))))))]])
    local objects, count = {}, 0
    app.lunette.on("f", { before = function(call)
      if not objects[call] then count = count + 1 end
      objects[call] = true
    end, after = function() end })
    for _ = 1, 5 do app.instance:invoke("f", 3) end
    assert.equal(4, count)
  end)
end)
