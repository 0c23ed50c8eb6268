-- SPDX-License-Identifier: MIT
-- Scripts and their options, loaded as the command does it, on a session of its own.

local files = require("spec.support.files")
local guest = require("spec.support.guest")
local script = require("lunette.script")
local sessions = require("lunette.session")
local wat = require("spec.support.wat")

local failure = guest.failure

local session, messages, folder

before_each(function()
  messages = {}
  folder = files.temporary()
  session = sessions.create({ output = folder .. "/out", message = function(text) messages[#messages + 1] = text end })
end)
after_each(function()
  session:close()
  files.remove(folder.path)
end)

local function load_code(code, options) return script.load(session, { code = code, options = options }) end

local function load_file(name, code, options)
  files.write(folder .. "/" .. name, code)
  return script.load(session, { file = folder .. "/" .. name, options = options })
end

local function output()
  session:open():flush()
  return files.read(folder .. "/out")
end

describe("a script", function()
  it("prints to the trace output", function()
    load_code('print("a", 1, nil, true) lunette.out:write("b\\n")')
    assert.equal("a\t1\tnil\ttrue\nb\n", output())
  end)

  it("has globals of its own and the standard library to read", function()
    load_code("counter = 1 assert(_G.counter == 1 and string.format and math.type and require('string') == string)")
    assert.is_nil(rawget(_G, "counter"))
    load_code("assert(counter == nil)")
    load_code("x = 5 assert(load('return x')() == 5)")
  end)

  it("gets its own lunette from require, too", function()
    load_code("assert(require('lunette') == lunette)")
  end)

  it("attaches under its name", function()
    load_file("calls.lua", "attachment = lunette.on('f', function() end) assert(attachment.name:find('calls.lua', 1, true))")
  end)

  it("is found by its name in the folders of shipped scripts", function()
    files.write(folder .. "/shipped.lua", "-- a question?\nprint('shipped')")
    local loaded = script.load(session, { name = "shipped", folders = { "/there/is/none", folder.path } })
    assert.same({ "shipped", folder .. "/shipped.lua" }, { loaded.name, loaded.path })
    assert.equal("shipped\n", output())
    local err = failure(script.load, session, { name = "shiped", folders = { folder.path } })
    assert.equal('there is no script "shiped"', err.message)
    assert.is_truthy(err.detail:find("did you mean shipped?", 1, true))
  end)

  it("that fails to load raises an err of kind script with file and line", function()
    for _, case in ipairs({
      { "x = = 1", "^%-e:1: unexpected symbol near '='$" }, { "\nerror('oops')", "^%-e:2: oops$" },
      { "lunette.onn()", "^%-e:1: lunette.onn: no such field; did you mean 'on'%?$" },
      { "lunette.on('f', 7)", "^%-e:1: a listener .* expected, got number$" },
      { "local x = nil; x.y = 1", "^%-e:1: attempt to index a nil value" },
      { string.dump(function() end), "^%-e: a compiled script" },
    }) do
      local err = failure(load_code, case[1])
      assert.equal("script", err.kind)
      assert.equal(101, err.exit_status)
      assert.is_truthy(err.message:match(case[2]), err.message)
    end
    local err = failure(script.load, session, { file = folder .. "/missing.lua" })
    assert.is_truthy(err.message:find("missing.lua: No such file or directory", 1, true))
  end)

  it("may start with a line for the shell", function()
    load_file("x.lua", "#!/usr/bin/env lunette\nprint(debug.getinfo(1, 'l').currentline)")
    assert.equal("2\n", output())
  end)

  it("hears the guest by its host functions and listeners", function()
    load_code([[
      lunette.on("f", { before = function(call, x) print("before", x) end, after = function(call, y) print("after", y) end })
      lunette.at_exit(function() print("end") end)
    ]])
    local instance = session.api.instantiate(session.api.module(wat(
      '(module (func $f (export "f") (param i32) (result i32) (i32.add (local.get 0) (i32.const 1))))')))
    session:set_guest(instance)
    load_code("assert(lunette.guest:invoke('f', 1) == 2)")
    session:finish()
    assert.equal("before\t1\nafter\t2\nend\n", output())
  end)
end)

describe("what a script called and that failed", function()
  it("is the script's failure, with its place", function()
    local err = failure(load_file, "x.lua", "local function make()\n  local m = lunette.module('x')\nend\nmake()")
    assert.equal("script", err.kind)
    assert.equal(101, err.exit_status)
    assert.is_truthy(err.message:find("x%.lua:2: malformed: "), err.message)
    err = failure(load_code, "\n\nlocal m = lunette.module({ file = 'there/is/none.wasm' })")
    assert.is_truthy(err.message:find("^%-e:3: no input: there/is/none.wasm"), err.message)
  end)
end)

describe("options", function()
  local declared = [[
    values = lunette.options({ depth = { default = 3, help = "how deep" }, ratio = { default = 0.5 }, name = { default = "x" },
      all = { default = false }, where = {} })
    print(values.depth, values.ratio, values.name, values.all, values.where, math.type(values.depth))
  ]]

  it("have their defaults", function()
    load_code(declared)
    assert.equal("3\t0.5\tx\tfalse\tnil\tinteger\n", output())
  end)

  it("take texts by the type of the default", function()
    load_code(declared, { depth = "0x10", ratio = "2", name = "a=b", all = "yes", where = "f*" })
    assert.equal("16\t2\ta=b\ttrue\tf*\tinteger\n", output())
  end)

  it("are checked", function()
    for _, case in ipairs({
      { { dpeth = "1" }, "-e: no such option: dpeth; did you mean depth?" },
      { { depth = "1.5" }, '-e: option depth must be a whole number, got "1.5"' },
      { { ratio = "x" }, '-e: option ratio must be a number, got "x"' },
      { { all = "maybe" }, '-e: option all must be true or false, got "maybe"' },
      { { zzz = "" }, "-e: no such option: zzz; it has: all, depth, name, ratio, where" },
    }) do assert.equal(case[2], failure(load_code, declared, case[1]).message) end
  end)

  it("have four fields, and no other", function()
    local problem = failure(session.api.options, { a = { default = 1, hlp = "x" } })
    assert.is_truthy(problem:find("option a has no field 'hlp'; did you mean 'help'?", 1, true), problem)
  end)

  it("given to a script that takes none are an error", function()
    assert.is_truthy(failure(load_code, "local x = 1", { depth = "1" }).message:find("no such option: depth", 1, true))
  end)
end)

describe("a program's lunette.options", function()
  it("gives the defaults", function() assert.same({ n = 5 }, session.api.options({ n = { default = 5 } })) end)
end)
