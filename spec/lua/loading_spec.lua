-- SPDX-License-Identifier: MIT
-- Loading, unloading and reloading scripts, also while the guest is inside a call (R7).

local files = require("spec.support.files")
local guest = require("spec.support.guest")

local failure = guest.failure

local text = [[(module
  (import "host" "tick" (func $tick (param i32)))
  (func $inner (export "inner") (param i32) (result i32) (call $tick (local.get 0)) (local.get 0))
  (func $outer (export "outer") (param i32) (result i32) (call $inner (local.get 0))))]]

local folder, app, ticks, on_tick

before_each(function()
  folder = files.temporary()
  ticks, on_tick = {}, nil
  app = guest.open(text, {
    session = { output = folder .. "/out" },
    imports = function(session)
      return { session.host("host", { tick = { params = { "i32" }, results = {}, function(_, value)
        ticks[#ticks + 1] = value
        if on_tick then on_tick(value) end
      end } }) }
    end,
  })
end)
after_each(function()
  guest.close_all()
  files.remove(folder.path)
end)

local function write(name, code)
  files.write(folder .. "/" .. name, code)
  return folder .. "/" .. name
end

local function output()
  app.lunette.out:write("")
  app.lunette.close()
  return files.read(folder .. "/out")
end

local noting = [[
local word = lunette.options({ word = "heard" }).word
lunette.on("inner", {
  before = function(_, value) print(word, "before", value) end,
  after = function(_, value) print(word, "after", value) end,
  abort = function() print(word, "abort") end,
})
lunette.at_exit(function() print(word, "at_exit") end)
]]

describe("lunette.load", function()
  it("puts a script to work, with options, and names it", function()
    local script = app.lunette.load(write("noting.lua", noting), { word = "loud" })
    assert.same({ folder .. "/noting.lua", folder .. "/noting.lua", true }, { script.name, script.path, script.loaded })
    app.instance:invoke("inner", 5)
    assert.equal("loud\tbefore\t5\nloud\tafter\t5\nloud\tat_exit\n", output())
  end)

  it("works from inside a call, for the calls after it (R7)", function()
    local path = write("noting.lua", noting)
    on_tick = function(value)
      if value == 1 then app.lunette.load(path) end
    end
    app.instance:invoke("inner", 1)
    app.instance:invoke("inner", 2)
    assert.equal("heard\tbefore\t2\nheard\tafter\t2\nheard\tat_exit\n", output())
  end)

  it("takes away again what a script that fails has put to work", function()
    local path = write("half.lua", [[lunette.on("inner", function() print("heard") end)
      lunette.at_exit(function() print("exit") end)
      lunette.oops()]])
    local err = failure(app.lunette.load, path)
    assert.equal("script", err.kind)
    assert.is_truthy(err.message:find("half.lua:3: ", 1, true))
    app.instance:invoke("inner", 1)
    assert.same({}, app.lunette.scripts)
    assert.equal("", output())
  end)

  it("says what is wrong with its arguments", function()
    local function said(...) return tostring(failure(app.lunette.load, ...)) end
    assert.is_truthy(said():find("load: a script's name or file expected, got nil", 1, true))
    assert.is_truthy(said("x.lua", 3):find("load: options must be a table, not a number", 1, true))
    assert.is_truthy(said(folder .. "/none.lua"):find("cannot read the script", 1, true))
    assert.is_truthy(said(write("noting.lua", noting), { wrod = "x" }):find("did you mean word", 1, true))
  end)
end)

describe("lunette.unload", function()
  it("removes all of that script and nothing else", function()
    local first = app.lunette.load(write("first.lua", noting), { word = "first" })
    app.lunette.load(write("second.lua", noting), { word = "second" })
    app.lunette.unload(first)
    assert.is_false(first.loaded)
    assert.equal(1, #app.lunette.scripts)
    app.instance:invoke("inner", 7)
    assert.equal("first\tat_exit\nsecond\tbefore\t7\nsecond\tafter\t7\nsecond\tat_exit\n", output())
  end)

  it("gives open calls neither after nor abort (R7)", function()
    local script = app.lunette.load(write("noting.lua", noting))
    on_tick = function() script:unload() end
    assert.equal(4, app.instance:invoke("outer", 4))
    assert.equal("heard\tbefore\t4\nheard\tat_exit\n", output())
  end)

  it("may be asked for by the script itself, whose callback ends first (R7)", function()
    app.lunette.load(write("once.lua", [[
      lunette.on("inner", { before = function(_, value)
        lunette.unload("]] .. folder .. [[/once.lua")
        print = nil
        value = value + 1
        heard = value
        if not pcall(lunette.on, "inner", function() end) then refused = true end
        assert(heard == 2 and refused)
      end, after = function() error("never") end })]]))
    app.instance:invoke("inner", 1)
    app.instance:invoke("inner", 2)
    assert.same({}, app.messages)
    assert.same({}, app.lunette.scripts)
  end)

  for what, case in pairs({
    ["attaching"] = 'lunette.on("inner", ("").note_heard)', ["starting"] = "lunette.delay(1000000, print)",
  }) do
    it("removes what a script was " .. what .. " when its memory ran out, too", function()
      local heard, loaded = 0, 0
      rawset(string, "note_heard", function() heard = heard + 1 end)
      for limit = 0, 60 do
        collectgarbage()
        local limited = guest.open(text, { session = { script_memory = 400000 + 2997 * limit }, imports = function(session)
          return { session.host("host", { tick = { params = { "i32" }, results = {}, function() end } }) }
        end })
        local session, instance = limited.lunette, limited.instance
        local good, script = pcall(session.load,
                                   write("greedy.lua", 'lunette.on("inner", function() while true do ' .. case .. " end end)"))
        instance:invoke("inner", 1)
        if good then script:unload() end
        loaded, heard = loaded + (good and 1 or 0), 0
        instance:invoke("inner", 2)
        session.uv.run("nowait")
        assert.same({ 0, false }, { heard, session.uv.loop_alive() })
        guest.close_all()
      end
      rawset(string, "note_heard", nil)
      assert.is_true(loaded > 20, loaded)
    end)
  end

  it("closes the script's handles, whatever that has made of its lunette.uv", function()
    local script = app.lunette.load(write("handles.lua", [[
      local timer = lunette.uv.new_timer()
      timer:start(1, 1, function() print("late") end)
      lunette.uv.close, lunette.uv.is_closing = error, error]]))
    script:unload()
    app.lunette.linger(20)
    assert.equal("", output())
  end)

  for what, code in pairs({
    ["a file's state"] = "uv.fs_stat('.', late)", ["a name's address"] = "uv.getaddrinfo('localhost', nil, nil, late)",
    ["random bytes"] = "uv.random(10, 0, late)",
    ["the end of a handle"] = "uv.new_timer():close(late)", ["a message"] = "uv.new_async(late):send()",
    ["what was written"] = [[
      local both = uv.pipe()
      local from, to = uv.new_pipe(), uv.new_pipe()
      from:open(both.read)
      to:open(both.write)
      to:write('x', late)]],
  }) do
    it("leaves no callback that waits for " .. what, function()
      local lines = "local uv = lunette.uv local function late() print('late') uv.stop() end " .. code
      local script = app.lunette.load(write("waits.lua", lines))
      app.lunette.load(write("other.lua", lines:gsub("late'", "heard'")))
      script:unload()
      app.lunette.uv.run()
      assert.equal("heard\n", output())
      assert.same({}, app.messages)
    end)
  end

  it("lets an aggregation of the script's live on where others count into it", function()
    local shared = {}
    package.loaded["shared"] = shared
    local script = app.lunette.load(write("counts.lua", [[
      local shared = require("shared")
      shared.own = lunette.count({ by = lunette.arg(1), budget = 4096, quiet = true })
      shared.other = lunette.count({ quiet = true })
      lunette.on("inner", shared.other)]]))
    package.loaded["shared"] = nil
    app.lunette.on("inner", shared.own)
    app.instance:invoke("inner", 1)
    script:unload()
    assert.equal(1, shared.other.rows)
    shared.own, shared.other = nil, nil
    collectgarbage()
    collectgarbage()
    for i = 1, 1000 do app.instance:invoke("inner", i) end
    assert.equal(1, #app.messages)
    assert.is_truthy(app.messages[1]:find("its budget of 4096 bytes is used up", 1, true), app.messages[1])
  end)

  it("names the nearest where there is no such script", function()
    app.lunette.load(write("noting.lua", noting))
    local function said(wanted) return tostring(failure(app.lunette.unload, wanted)) end
    assert.is_truthy(said(folder .. "/notng.lua"):find('notng.lua" is loaded; did you mean', 1, true))
    assert.is_truthy(said(5):find("unload: a script or its name expected, got number", 1, true))
    local script = app.lunette.scripts[1]
    script:unload()
    assert.is_truthy(tostring(failure(script.unload, script)):find("has been unloaded", 1, true))
    assert.is_truthy(tostring(failure(function() return script.paht end)):find("did you mean 'path'", 1, true))
  end)
end)

describe("lunette.at_exit", function()
  it("is heard from what was given to it, and from what that has given to it, but not for ever", function()
    app.lunette.load(write("again.lua", [[
      local count = 0
      local function again()
        count = count + 1
        if count % 50 == 0 then print(count) end
        lunette.at_exit(again)
      end
      lunette.at_exit(again)]]))
    assert.equal("50\n100\n", output())
    assert.equal(1, #app.messages)
    assert.matches("again.lua:5: at_exit: called from at_exit, 100 times over", app.messages[1])
  end)

  it("may reload its script, but not for ever", function()
    local script = app.lunette.load(write("again.lua", [[
      lunette.state.count = (lunette.state.count or 0) + 1
      lunette.at_exit(function() lunette.scripts[1]:reload() end)]]))
    output()
    assert.is_true(script.loaded)
    assert.equal(1, #app.messages)
  end)
end)

describe("lunette.reload", function()
  local counting = [[
    lunette.state.count = (lunette.state.count or 0) + 1
    lunette.on("inner", function() print("%s", lunette.state.count) end)
    lunette.at_exit(function() print("%s exits") end)]]

  local function version(name) return (counting:gsub("%%s", name)) end

  it("runs the present text in its place, and lunette.state survives", function()
    local script = app.lunette.load(write("counting.lua", version("old")))
    app.instance:invoke("inner", 1)
    write("counting.lua", version("new"))
    assert.equal(script, app.lunette.reload(script))
    assert.same({ script }, app.lunette.scripts)
    app.instance:invoke("inner", 2)
    assert.equal("old\t1\nnew\t2\nnew exits\n", output())
  end)

  it("works from inside a call: the old one's open calls end unheard, the new one hears what comes", function()
    local path = write("noting.lua", noting)
    local script = app.lunette.load(path, { word = "w" })
    on_tick = function(value)
      if value == 1 then script:reload() end
    end
    app.instance:invoke("inner", 1)
    app.instance:invoke("inner", 2)
    assert.equal("w\tbefore\t1\nw\tbefore\t2\nw\tafter\t2\nw\tat_exit\n", output())
  end)

  for what, case in pairs({
    ["does not compile"] = { "lunette.on(", "counting.lua:1: " },
    ["fails when it runs"] = { 'lunette.on("inner", print)\nerror("no good")', "counting.lua:2: no good" },
  }) do
    it("leaves the old one at work where the new text " .. what .. ", and says why", function()
      local script = app.lunette.load(write("counting.lua", version("old")))
      write("counting.lua", case[1])
      local err = failure(app.lunette.reload, script)
      assert.equal("script", err.kind)
      assert.is_truthy(err.message:find(case[2], 1, true), err.message)
      assert.is_true(script.loaded)
      app.instance:invoke("inner", 1)
      assert.equal("old\t1\nold exits\n", output())
    end)
  end

  it("goes to where the script then stands, when others have gone meanwhile", function()
    app.lunette.load(write("other.lua", noting), { word = "other" })
    local script = app.lunette.load(write("main.lua", noting), { word = "old" })
    app.lunette.load(write("third.lua", noting), { word = "third" })
    write("main.lua", "lunette.unload('" .. folder .. "/other.lua')\n" .. noting)
    script:reload()
    local names = {}
    for i, one in ipairs(app.lunette.scripts) do names[i] = one.name:match("[^/]+$") end
    assert.same({ "main.lua", "third.lua" }, names)
    app.lunette.scripts[2]:unload()
    app.instance:invoke("inner", 1)
    assert.equal("other\tat_exit\nthird\tat_exit\nold\tbefore\t1\nold\tafter\t1\nold\tat_exit\n", output())
  end)

  it("asked for by the new text itself, leaves one at work and nothing else", function()
    local script = app.lunette.load(write("main.lua", noting))
    write("main.lua", noting .. [[
      lunette.state.depth = (lunette.state.depth or 0) + 1
      if lunette.state.depth < 4 then lunette.scripts[1]:reload() end]])
    assert.matches("has been unloaded", tostring(failure(script.reload, script)))
    assert.equal(1, #app.lunette.scripts)
    app.instance:invoke("inner", 1)
    assert.equal("heard\tbefore\t1\nheard\tafter\t1\nheard\tat_exit\n", output())
  end)

  it("leaves nothing behind, however often", function()
    local script = app.lunette.load(write("noting.lua", noting))
    on_tick = function()
      for _ = 1, 10 do script:reload() end
    end
    for i = 1, 100 do app.instance:invoke("outer", i) end
    assert.equal(1, #app.lunette.scripts)
    script:unload()
    ticks, on_tick = {}, nil
    app.instance:invoke("inner", 1)
    local lines = select(2, output():gsub("\n", ""))
    assert.equal(101, lines) -- a before a call, and the last version's at_exit
  end)
end)
