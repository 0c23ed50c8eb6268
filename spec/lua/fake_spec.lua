-- SPDX-License-Identifier: MIT
-- lunette.fake, expect and fail: scripts tested without a guest, and guests tested by scripts.

local api = require("lunette.api")
local command = require("spec.support.command")
local environment = require("spec.support.lua")
local files = require("spec.support.files")
local lunette = require("lunette")
local run = require("spec.support.run")

local open = {}
local function fake_of(given)
  local fake = lunette.fake(given)
  open[#open + 1] = fake
  return fake
end
after_each(function()
  for _, fake in ipairs(open) do fake:close() end
  open = {}
end)

local function failure(f, ...)
  local good, problem = pcall(f, ...)
  assert(not good, "an error was expected")
  return problem
end

local functions = {
  { name = "malloc", params = { "i32" }, results = { "i32" }, param_names = { "size" } },
  { name = "mix", params = { "i64", "f32", "f64", "v128", "externref", "funcref" }, results = { "v128", "f64", "i32" } },
  { name = "shown", export = true },
  { name = "fd_write", host = "wasi_snapshot_preview1", params = { "i32", "i32" }, results = { "i32" } },
  "main",
}

-- Its events as lines.
local function heard(fake, where)
  local list = {}
  local function note(kind)
    return function(call, ...)
      local parts = table.pack(kind, call.name, ...)
      for i = 1, parts.n do parts[i] = tostring(parts[i]) end
      list[#list + 1] = table.concat(parts, " ")
    end
  end
  fake.lunette.on(where or "*", { before = note("before"), after = note("after"), abort = function(call, err)
    note("abort")(call, err.kind, err.code)
  end })
  return list
end

describe("a fake", function()
  local function temporary_of(make)
    local path
    local tmpname = os.tmpname
    os.tmpname = function() -- luacheck: ignore
      path = tmpname()
      return path
    end
    local made = make()
    os.tmpname = tmpname -- luacheck: ignore
    return path, made
  end

  it("calls as it is told, values of all types as they are", function()
    local fake = fake_of({ functions = functions })
    local list = heard(fake)
    assert.is_nil(fake:call({ "main", calls = {
      { "malloc", 600, returns = 1 << 16 },
      { "mix", -1, 1.5, -0.25, ("x"):rep(16), returns = { ("y"):rep(16), 3, -7 } },
      "shown",
    } }))
    assert.same({
      "before main", "before malloc 600", "after malloc 65536",
      "before mix -1 1.5 -0.25 xxxxxxxxxxxxxxxx nil nil", "after mix yyyyyyyyyyyyyyyy 3.0 -7",
      "before shown", "after shown", "after main",
    }, list)
  end)

  it("has the frames that it is given around each call", function()
    local fake = fake_of({ module = "app", functions = functions, frames = { { "malloc", 5 }, "main", "_start" } })
    local stack
    fake.lunette.on("shown", function(call) stack = call:snapshot() end)
    fake:call("shown")
    local names = {}
    for i, frame in ipairs(stack) do names[i] = frame.definition.name .. " " .. frame.instance.name end
    assert.same({ "shown app", "malloc app", "main app", "_start app" }, names)
  end)

  it("knows wheres, counting in C, params by name, conditions", function()
    local fake = fake_of({ functions = functions, frames = { "main" } })
    fake:eval([[
      lunette.on({ name = "m*", caller = "main" }, lunette.count{ by = lunette.arg("size") })
      lunette.on({ name = "malloc", when = lunette.arg(1):gt(10) }, function(call) print("large", call:param("size")) end)
      lunette.on({ export = true }, function(call) print("export", call.name, call.entry) end)]])
    fake:call("malloc", 4)
    fake:call("malloc", 11)
    fake:call("malloc", 4)
    fake:call("shown")
    assert.equal(0, fake:finish())
    assert.equal("large\t11\nexport\tshown\tnil\ncalls  size\n    2  4     ##############################\n"
      .. "    1  11    ###############\n", fake.output)
    assert.same({}, fake.messages)
  end)

  it("has memory that test, guest and host write, and listeners read", function()
    local fake = fake_of({ functions = functions, memory = { [70000] = "first", pages = 3 } })
    assert.equal(3 * 65536, fake.memory:size())
    local texts = {}
    fake.lunette.on({ "malloc", "shown" }, { after = function(call) texts[#texts + 1] = call.memory:cstring(70000) end })
    fake:call({ "main", calls = {
      "shown",
      { "malloc", writes = { [70000] = "second" } },
      { "fd_write", writes = { [70000] = "third!" }, returns = 8 },
      "shown",
    } })
    fake.memory:write(70000, "fourth")
    fake:call("shown")
    assert.same({ "first", "second", "third!", "fourth" }, texts)
  end)

  it("traps, fails in the host and exits as it is told, and goes on with the next call", function()
    local fake = fake_of({ functions = functions })
    local list = heard(fake, { "main", "fd_write" })
    assert.equal("trap", fake:call({ "main", traps = true }).kind)
    local err = fake:call({ "main", calls = { { "fd_write", raises = { "a value" } } } })
    assert.same({ "host", { "a value" } }, { err.kind, err.value })
    assert.equal(3, fake:call({ "main", calls = { { "fd_write", exits = 3 } } }).code)
    assert.is_nil(fake:call("main"))
    assert.same({
      "before main", "abort main trap unreachable",
      "before main", "before fd_write 0 0", "abort fd_write host nil", "abort main host nil",
      "before main", "before fd_write 0 0", "abort fd_write exit 3", "abort main exit 3", "before main", "after main",
    }, list)
  end)

  it("has host functions in Lua, which may call it again", function()
    local fake
    fake = fake_of({ functions = {
      { name = "again", host = "env", params = { "i32" }, results = { "i32" }, call = function(_, n)
        if n > 0 then fake:call({ "outer", calls = { { "again", n - 1 } } }) end
        return 10 * n
      end },
      "outer", "leaf",
    } })
    local list = heard(fake)
    fake:call({ "outer", calls = { { "again", 1 }, "leaf" } })
    assert.same({
      "before outer", "before again 1", "before outer", "before again 0", "after again 0", "after outer", "after again 10",
      "before leaf", "after leaf", "after outer",
    }, list)
  end)

  it("takes thousands of functions, and calls thousands deep", function()
    local many, deep = {}, "f1"
    for i = 1, 3000 do many[i] = { name = "f" .. i, params = { "i32" }, results = { i % 2 == 0 and "i32" or "i64" } } end
    for i = 2, 3000 do deep = { "f" .. i, i, calls = { deep } } end
    local fake = fake_of({ functions = many })
    local count = fake.lunette.count({ by = {}, quiet = true })
    fake.lunette.on("*", count)
    local stack
    fake.lunette.on("f1", function(call) stack = #call:stack() end)
    assert.is_nil(fake:call(deep))
    assert.same({ 3000, 3000 }, { count:table()[1].calls, stack })
  end)

  it("loads scripts by file, by name and with options, before its instance is made", function()
    local folder <close> = files.temporary()
    files.write(folder .. "/s.lua", [[local options = lunette.options({ n = { default = 1, help = "…" } })
      lunette.on_instance(function(event) print(event.kind, options.n) end)]])
    local fake = fake_of({ functions = functions })
    assert.equal(folder .. "/s.lua", fake:load(folder .. "/s.lua", { n = 3 }).name)
    fake:call("main")
    assert.equal("instance\t3\n", fake.output)
  end)

  it("has a session with the options that it is given: scripts may intercept, have budgets, are in the sandbox", function()
    local fake = fake_of({ functions = functions, session = { unsafe = true } })
    fake:eval('lunette.intercept("malloc", function(call, size) return call:proceed(2 * size) + 1 end)')
    local list = heard(fake)
    fake:call({ "main", calls = { { "malloc", 8, returns = 3 } } })
    assert.same({ "before main", "before malloc 16", "after malloc 4", "after main" }, list)
    local boxed = fake_of({ functions = functions, session = { sandbox = true } })
    assert.is_truthy(tostring(failure(boxed.eval, boxed, "io.open('x')")):find("-e:1:", 1, true))
    assert.is_truthy(failure(lunette.fake, { session = { unsave = true } }):find("did you mean 'unsafe'?", 1, true))
  end)

  it("tells what listeners fail with, and wheres that match nothing", function()
    local fake = fake_of({ functions = functions })
    fake:eval('lunette.on("maloc", print) lunette.on("main", function() error("no good") end)')
    fake:call("main")
    local told = table.concat(fake.messages, "\n")
    assert.is_truthy(told:find('where "maloc" matches no function', 1, true), told)
    assert.is_truthy(told:find("-e:1: no good", 1, true), told)
  end)

  for text, wrong in pairs({
    ["fake: no such field: funtions; did you mean 'functions'?"] = { funtions = {} },
    ["fake: function 1: no such field: param; did you mean 'params'?"] = { functions = { { name = "f", param = {} } } },
    ["fake: f: params: no such type: i33"] = { functions = { { name = "f", params = { "i33" } } } },
    ["fake: there are two functions f"] = { functions = { "f", "f" } },
    ["fake: f: call is for host functions"] = { functions = { { name = "f", call = print } } },
    ["fake: function 1 must be a table, not a number"] = { functions = { 7 } },
    ["fake: memory is a string, or a table"] = { memory = { text = "x" } },
    ["fake: memory: max is 1 pages, and there are 2"] = { memory = { pages = 2, max = 1 } },
    ["fake: frame 1 has no name"] = { frames = { {} } },
    ["fake: frame 1, f, has params"] = { frames = { { "f", 1 } } },
    ["fake: frame 1: params must be a table, not a number"] = { frames = { { name = "f", params = 5 } } },
    ["fake: frame 2, h, is a host function"] = { functions = { { name = "h", host = "env" } }, frames = { "f", "h" } },
    ["fake: f: param_names: 1 must be a string, not a number"] = { functions = { { name = "f", param_names = { 5 } } } },
    ["fake: what it is told must be a table, not a nil"] = false,
  }) do
    it("refuses what makes no sense: " .. text, function()
      local problem = failure(lunette.fake, wrong or nil)
      assert.is_truthy(problem:find(text, 1, true), problem)
    end)
  end

  it("refuses calls that make no sense, where they are made", function()
    local fake = fake_of({ functions = functions })
    local endless, deep = { "main" }, { "main" }
    endless.calls = { { "main", calls = { endless } } }
    for _ = 1, 20001 do deep = { "main", calls = { deep } } end
    for text, call in pairs({
      ["main: its calls contain itself"] = endless,
      ["main: calls more than 20000 deep"] = deep,
      ["main: calls must be a table, not a number"] = { "main", calls = 5 },
      ["no such function: maloc; did you mean 'malloc'?"] = { "maloc" },
      ["malloc: param 1 must be i32, not a string"] = { "malloc", "x" },
      ["malloc: param 1 must be i32, not 1.5"] = { "malloc", 1.5 },
      ["malloc: param 1: 4294967296 has more than 32 bits"] = { "malloc", 1 << 32 },
      ["malloc: param: 2 are given, there are 1"] = { "malloc", 1, 2 },
      ["malloc: result: 2 are given, there are 1"] = { "malloc", returns = { 1, 2 } },
      ["malloc: no such field: retruns; did you mean 'returns'?"] = { "malloc", retruns = 1 },
      ["malloc: no such field: raises"] = { "malloc", raises = 1 },
      ["mix: param 4 must be 16 bytes"] = { "mix", 1, 1, 1, "x" },
      ["mix: param 5: a fake passes only null"] = { "mix", 1, 1, 1, nil, 7 },
      ["malloc: writes is a table of address = string"] = { "malloc", writes = "x" },
      ["a call is a name or a table, not a number"] = { "main", calls = { 7 } },
    }) do
      local problem = failure(function() fake:call(call) end)
      assert.is_truthy(problem:find("^[^\n]*fake_spec%.lua:%d+: fake: "), problem)
      assert.is_truthy(problem:find(text, 1, true), problem)
    end
    assert.is_nil(fake:call("main"))
    assert.is_truthy(failure(function() return fake.otput end):find("did you mean 'output'?", 1, true))
    assert.is_truthy(failure(function() fake.output = 1 end):find("can't be set", 1, true))
  end)

  it("leaves nothing behind, and is of no use, when it is closed", function()
    local path, fake = temporary_of(function() return fake_of({ functions = functions }) end)
    fake:eval('lunette.on("*", function(call) print(call.name) end)')
    fake:call("main")
    assert.equal("main\n", fake.output)
    fake:close()
    fake:close()
    assert.is_false(files.exists(path))
    assert.is_truthy(failure(function() fake:call("main") end):find("closed", 1, true))
    assert.is_truthy(failure(function() return fake.output end):find("closed", 1, true))
  end)

  it("can't be closed from a callback, of the guest or at its end, and can be afterwards", function()
    local path, fake = temporary_of(function() return fake_of({ functions = { "a" } }) end)
    local problems = {}
    local function try() problems[#problems + 1] = failure(function() fake:close() end) end
    local attachment = fake.lunette.on("a", try)
    assert.is_nil(fake:call("a"))
    attachment:detach()
    fake.lunette.at_exit(try)
    fake:finish()
    assert.is_truthy(problems[1]:find("fake_spec%.lua:%d+: fake: it can't be closed while its guest runs$"), problems[1])
    assert.is_truthy(problems[2]:find("fake_spec%.lua:%d+: fake: it can't be closed from its at_exit$"), problems[2])
    fake:eval("lunette.on(\"a\", function() print(\"still here\") end)")
    assert.is_nil(fake:call("a"))
    assert.equal("still here\n", fake.output)
    assert.is_true(files.exists(path))
    fake.lunette.at_exit(function() fake:close() end)
    fake:close()
    assert.is_false(files.exists(path))
    assert.is_truthy(failure(function() fake:call("a") end):find("it is closed", 1, true))
  end)

  it("R17 is called from a listener, without unsafe, tapes inside one another", function()
    local fake = fake_of({ functions = functions })
    local list = heard(fake, { "shown", "main" })
    local errs = {}
    fake.lunette.on("malloc", function(_, n)
      errs[#errs + 1] = fake:call({ "main", calls = { "shown" }, traps = n == 2 }) or "none"
    end)
    assert.is_nil(fake:call({ "main", calls = { { "malloc", 1 }, { "malloc", 2 }, "shown" } }))
    assert.same({ "before main", "before main", "before shown", "after shown", "after main", "before main", "before shown",
      "after shown", "abort main trap unreachable", "before shown", "after shown", "after main" }, list)
    assert.same({ "none", "trap" }, { errs[1], errs[2].kind })
    assert.same({}, fake.messages)
    fake.lunette.on("shown", function(call) call.memory:write(0, "x") end)
    fake:call("shown")
    assert.is_truthy(fake.messages[1]:find("listeners observe: memory is not theirs to change", 1, true))
  end)

  it("is of no use once it is closed, by itself or by its session, and says so where it is used", function()
    for _, made in ipairs({ false, true }) do
      for _, close in ipairs({ function(fake) fake:close() end, function(fake) fake.lunette.close() end }) do
        local fake = fake_of({ functions = { "a" } })
        if made then fake:call("a") end
        close(fake)
        for _, use in ipairs({
          function() fake:call("a") end, function() fake:eval("local x = 1") end, function() fake:load("calls") end,
          function() fake:finish() end, function() print(fake.output) end, function() print(fake.memory) end,
          function() print(fake.instance) end,
        }) do
          local problem = failure(use)
          assert.is_truthy(problem:find("^[^\n]*fake_spec%.lua:%d+: fake: it is closed$"), problem)
        end
        assert.same({}, fake.failures)
      end
    end
  end)

  it("is not called before its instance is there", function()
    local fake = fake_of({ functions = { "a" } })
    local problem
    fake.lunette.on_instance(function() problem = failure(function() fake:call("a") end) end)
    assert.is_nil(fake:call("a"))
    assert.is_truthy(problem:find("fake_spec%.lua:%d+: fake: its instance is being made at this moment$"), problem)
  end)

  it("R10 passes NaNs with all of their bits", function()
    local fake, seen = fake_of({ frames = { "main" }, functions = {
      { name = "f", params = { "f32", "f64" }, results = { "f32" }, export = true },
    } }), {}
    fake.lunette.on("f", {
      before = function(call) seen[1], seen[2] = call:bits(1), call:bits(2) end,
      after = function(call) seen[3] = call:bits(1) end,
    })
    local function double(bits) return (string.unpack("<d", string.pack("<I8", bits))) end
    local single, wide, result = double(0x7ff4000000000000), double(0x7ff0000000000001), double(0xfff0000020000000)
    assert.is_nil(fake:call({ "f", single, wide, returns = result }))
    assert.same({ 0x7fa00000, 0x7ff0000000000001, 0xff800001 }, seen)
  end)

  it("shows of a script that fails its own frames alone", function()
    local fake = fake_of({ functions = { "f" } })
    local function told(code) return tostring(failure(fake.eval, fake, code)) end
    assert.equal("-e:1: intercept: changing calls needs lunette.session{unsafe=true}",
      told('lunette.intercept("f", function() end)'))
    assert.equal('-e:2: on: a where expected, got nil (all functions: "*")\nstack traceback:\n\t-e:2: in local \'listen\'\n'
      .. "\t-e:4: in main chunk", told("local function listen()\n  lunette.on(nil, print)\nend\nlisten()"))
  end)

  it("takes work in proportion to its functions, also where each has a signature of its own", function()
    local kinds = { "i32", "i64", "f32", "f64" }
    -- Thousands of steps of Lua.
    local function steps_of(count)
      local given, steps = {}, 0
      for i = 1, count do
        local params, rest = {}, i
        for at = 1, 6 do params[at], rest = kinds[rest % 4 + 1], rest // 4 end
        given[i] = { name = "f" .. i, params = params }
      end
      local fake = fake_of({ functions = given })
      debug.sethook(function() steps = steps + 1 end, "", 1000)
      local good, problem = pcall(function() return fake.instance end)
      debug.sethook()
      assert(good, problem)
      assert.is_nil(fake:call({ "f1", calls = { "f" .. count } }))
      return steps
    end
    local few, many = steps_of(60), steps_of(240)
    assert.is_true(many < 8 * few, ("%d for 60, %d for 240"):format(few, many))
  end)

  it("has the fields and methods that lunette.api lists", function()
    local listed, live = {}, {}
    for _, row in ipairs(api.rows) do
      local mark, name = row[1]:match("^fake([.:])([%w_]+)$")
      if name then listed[name] = mark end
    end
    local names = require("lunette.fake").names
    for name in pairs(names.fields) do live[name] = "." end
    for name in pairs(names.methods) do live[name] = ":" end
    assert.same(live, listed)
  end)
end)

describe("lunette.expect and lunette.fail", function()
  it("end a fake's run with kind exit and status 104, and are kept with their place", function()
    local fake = fake_of({ functions = functions })
    fake:eval('lunette.on("malloc", function(_, n)\n lunette.expect(n < 9, "too large") end)\n'
      .. 'lunette.on("main", function() lunette.fail() end)')
    local list = heard(fake)
    assert.is_nil(fake:call("malloc", 8))
    local err = fake:call("malloc", 9)
    assert.same({ "exit", 104 }, { err.kind, err.code })
    assert.equal("exit", fake:call("main").kind)
    assert.same({ "-e:2: too large", "-e:3: it fails" }, fake.failures)
    assert.same(fake.failures, fake.messages)
    assert.same({ "before malloc 8", "after malloc 0", "before malloc 9", "abort malloc exit 104", "before main",
      "abort main exit 104" }, list)
  end)

  it("give the condition, and raise the message in a program outside of any run", function()
    local session <close> = lunette.session({})
    assert.equal(7, session.expect(7, "never"))
    assert.is_truthy(failure(session.expect, false, "no luck"):find("no luck", 1, true))
    assert.is_truthy(failure(session.fail, "no luck"):find("fake_spec.lua:%d+: no luck$"))
    assert.equal(2, #session.failures)
  end)

  local guest = '(module (func (export "_start") (call 1)) (func $f))'

  it("end the command with status 104, from a listener", function()
    local result = run({ "run", "-e", 'lunette.on("f", function() lunette.fail("not f") end)', "app.wasm", guest = guest })
    assert.same({ 104, "lunette: -e:1: not f\n" }, { result.status, result.stderr })
  end)

  it("from at_exit, and from the top of a script", function()
    for _, code in ipairs({ "lunette.at_exit(function() lunette.expect(nil) end)", "lunette.expect(false)" }) do
      local result = run({ "run", "-e", code, "app.wasm", guest = guest })
      assert.same({ 104, "lunette: -e:1: an expectation does not hold\n" }, { result.status, result.stderr })
    end
  end)

  it("count for lunette check, too, with a module and without", function()
    for _, name in ipairs({ "app.wasm", false }) do
      local code = 'lunette.expect(false, "not so") lunette.on("f", print)'
      local result = run({ "check", "-e", code, name or nil, guest = guest })
      assert.same({ 104, "lunette: -e:1: not so\n" }, { result.status, result.stderr })
    end
  end)

  it("leave a guest that fails itself its own status", function()
    local result = run({ "run", "-e", "lunette.at_exit(function() lunette.fail('late') end)", "app.wasm",
      guest = '(module (func (export "_start") unreachable))' })
    assert.equal(134, result.status)
    assert.is_truthy(result.stderr:find("lunette: -e:1: late\n", 1, true))
  end)
end)

describe("lunette.busted", function()
  local function busted(text)
    local folder <close> = files.temporary()
    files.write(folder .. "/some_spec.lua", 'local kit = require("lunette.busted")\n' .. text)
    local args = { "/usr/bin/busted", "-o", "TAP", folder .. "/some_spec.lua" }
    return command.run("lua5.4", args, { env = environment({ LUNETTE_COUNTS = false }) })
  end

  it("has assertions that say what there is", function()
    local result = busted([[
      local function make()
        local fake = kit.fake({ functions = { "f" } })
        fake:eval('lunette.on("f", function(call) print(call.name) end)')
        fake:call("f")
        return fake
      end
      it("is printed", function() assert.printed("f\n", make()) assert.printed_line("f", make()) assert.well(make()) end)
      it("is not", function() assert.printed("g\n", make()) end)
      it("is no line", function() assert.is_not.printed_line("g", make()) assert.printed_line("g", make()) end)
      it("is not well", function()
        local fake = make()
        fake:eval('lunette.on("f", function() lunette.fail("no good") end)')
        fake:call("f")
        assert.well(fake)
      end)]])
    assert.is_true(result.status ~= 0)
    assert.is_truthy(result.stdout:find("^ok 1 %- is printed\nnot ok 2 "), result.stdout .. result.stderr)
    assert.is_truthy(result.stdout:find("Expected the output to be\n", 1, true), result.stdout)
    assert.is_truthy(result.stdout:find("Expected the output to have the line\n", 1, true), result.stdout)
    assert.is_truthy(result.stdout:find("-e:1: no good", 1, true), result.stdout)
  end)
end)
