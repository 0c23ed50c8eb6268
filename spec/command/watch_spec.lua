-- SPDX-License-Identifier: MIT
-- --watch: scripts are reloaded while the guest spins, waits, or stands still. Each step of a spec follows a line that it
-- has seen; a guest that nobody stops would run for ever.

local uv = require("luv")

local command = require("spec.support.command")
local files = require("spec.support.files")
local wat = require("spec.support.wat")

local spinning = '(module (func $tick) (func (export "_start") (loop $l (call $tick) (br $l))))'
local waiting = [[(module
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\08\00\00\00\01\00\00\00")
  (func (export "_start") (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 100)))))]]

local folder

before_each(function() folder = files.temporary() end)
after_each(function() files.remove(folder.path) end)

local function write(name, text) files.write(folder .. "/" .. name, text) end

local function replace(name, text)
  write(name .. "~", text)
  assert(uv.fs_rename(folder .. "/" .. name .. "~", folder .. "/" .. name))
end

-- Runs the guest; each of the steps { text, what to do } is taken once its text has come.
local function watched(guest, steps, ...)
  files.write(folder .. "/app.wasm", wat(guest))
  local args, at = { "run", "--watch", ... }, 1
  args[#args + 1] = "app.wasm"
  return command.run(command.lunette, args, {
    cwd = folder.path, stdin_open = true,
    on_stderr = function(text)
      while steps[at] and text:find(steps[at][1], 1, true) do
        steps[at][2]()
        at = at + 1
      end
    end,
  })
end

local function says(word)
  return ('local said lunette.on("tick", function() if not said then said = true print("%s") end end)'):format(word)
end
local last = 'lunette.on("tick", function() print("last") lunette.stop(7) end)'

describe("--watch", function()
  for how, change in pairs({ ["written anew"] = write, ["replaced by another file"] = replace }) do
    it("reloads a script that is " .. how .. ", as often as that happens", function()
      write("x.lua", says("first"))
      local result = watched(spinning, {
        { "first\n", function() change("x.lua", says("second")) end },
        { "second\n", function() change("x.lua", last) end },
      }, "-s", "x.lua")
      assert.equal(7, result.status, result.stderr)
      assert.equal("first\nlunette: reloaded x.lua\nsecond\nlunette: reloaded x.lua\nlast\n", result.stderr)
    end)
  end

  for what, case in pairs({
    ["does not compile"] = { "lunette.on(", "x.lua:1: unexpected symbol near <eof>" },
    ["fails when it runs"] = { 'error("no good")', "x.lua:1: no good" },
  }) do
    it("leaves the old script at work where the new one " .. what .. ", and says why", function()
      write("x.lua", [[
        local step
        lunette.every(1, function() if step ~= lunette.state.step then step = lunette.state.step print("at work") end end)
        lunette.state.step = 1]])
      local result = watched(spinning, {
        { "at work\n", function() write("x.lua", case[1]) end },
        { "hint: the old x.lua stays at work\n", function() write("x.lua", last) end },
      }, "-s", "x.lua")
      assert.equal(7, result.status, result.stderr)
      assert.equal(("at work\nlunette: %s\nhint: the old x.lua stays at work\nlunette: reloaded x.lua\nlast\n"):format(case[2]),
                   result.stderr)
    end)
  end

  it("reloads the one that has changed, and not the others", function()
    write("x.lua", says("x"))
    write("y.lua", 'print("y")')
    local result = watched(spinning, { { "x\n", function() write("x.lua", last) end } }, "-s", "y.lua", "-s", "x.lua")
    assert.equal(7, result.status, result.stderr)
    assert.equal("y\nx\nlunette: reloaded x.lua\nlast\n", result.stderr)
  end)

  for _, option in ipairs({ false, "--sandbox" }) do
    it("reloads what has required a module that changes" .. (option and ", with --sandbox" or ""), function()
      write("part.lua", "return { word = 'old' }")
      write("x.lua", [[
        local word = require("part").word
        lunette.on("tick", function()
          if lunette.state.said ~= word then lunette.state.said = word print(word) end
          if word == "new" then lunette.stop(7) end
        end)]])
      write("y.lua", 'print("y")')
      local result = watched(spinning, {
        { "old\n", function() write("part.lua", "return {") end },
        { "hint: the old x.lua stays at work\n", function() write("part.lua", "return { word = 'new' }") end },
      }, "-s", "y.lua", "-s", "x.lua", option or nil)
      assert.equal(7, result.status, result.stderr)
      local shown = result.stderr:gsub("lunette: [^\n]*part.lua[^\n]*\n[^\n]*part.lua[^\n]*\n", "lunette: why\n")
      assert.is_truthy(shown:find("^y\nold\nlunette: .*\nhint: the old x.lua stays at work\nlunette: reloaded x.lua\nnew\n$"),
                       result.stderr)
    end)
  end

  it("follows a link to where the text is", function()
    files.make(folder .. "/real")
    write("real/x.lua", says("first"))
    assert(uv.fs_symlink("real/x.lua", folder .. "/x.lua"))
    local result = watched(spinning, { { "first\n", function() replace("real/x.lua", last) end } }, "-s", "x.lua")
    assert.equal("first\nlunette: reloaded x.lua\nlast\n", result.stderr)
  end)

  it("follows links to wherever they come to lead", function()
    for _, name in ipairs({ "one", "two", "three" }) do files.make(folder .. "/" .. name) end
    write("one/x.lua", says("first"))
    write("two/x.lua", says("second"))
    write("three/x.lua", says("fourth"))
    local function link(target, name)
      assert(uv.fs_symlink(target, folder .. "/" .. name .. "~"))
      assert(uv.fs_rename(folder .. "/" .. name .. "~", folder .. "/" .. name))
    end
    link("one", "present")
    link("present/x.lua", "middle.lua")
    link(folder.path .. "/middle.lua", "x.lua")
    local result = watched(spinning, {
      { "first\n", function() link("two", "present") end },
      { "second\n", function() write("two/x.lua", says("third")) end },
      { "third\n", function() link("three/x.lua", "middle.lua") end },
      { "fourth\n", function() replace("three/x.lua", last) end },
    }, "-s", "x.lua")
    assert.equal(7, result.status, result.stderr)
    assert.equal("first\nlunette: reloaded x.lua\nsecond\nlunette: reloaded x.lua\nthird\nlunette: reloaded x.lua\nfourth\n"
      .. "lunette: reloaded x.lua\nlast\n", result.stderr)
  end)

  it("sees a file that was removed and made again", function()
    write("x.lua", says("first"))
    write("y.lua", says("y first"))
    local result = watched(spinning, {
      { "y first\n", function()
        files.remove(folder .. "/x.lua")
        write("y.lua", says("y second"))
      end },
      { "y second\n", function() write("x.lua", last) end },
    }, "-s", "x.lua", "-s", "y.lua")
    assert.equal(7, result.status, result.stderr)
    assert.is_truthy(result.stderr:find("y second\nlunette: reloaded x.lua\nlast\n", 1, true), result.stderr)
  end)

  for how, make in pairs({ ["its own"] = "d", ["one above"] = "d/e/f" }) do
    it("sees a file whose folder, " .. how .. ", was moved and made again, and keeps no handle", function()
      local code = says("%s") .. [[
        local count = 0
        for number = 3, 99 do
          local file = io.open("/proc/self/fdinfo/" .. number)
          count = count + (file and select(2, file:read("a"):gsub("inotify wd", "")) or 0)
          if file then file:close() end
        end
        print("watches", count)]]
      local steps = {}
      local function again(i)
        return function()
          assert(uv.fs_rename(folder .. "/d", folder .. "/gone" .. i))
          files.make(folder .. "/" .. make)
          write(make .. "/x.lua", i < 6 and code:format("number " .. i) or last)
        end
      end
      for i = 1, 6 do steps[i] = { "number " .. i - 1 .. "\n", again(i) } end
      files.make(folder .. "/" .. make)
      write(make .. "/x.lua", code:format("number 0"))
      local result = watched(spinning, steps, "-s", make .. "/x.lua")
      assert.equal(7, result.status, result.stderr)
      local counts = {}
      for count in result.stderr:gmatch("watches\t(%d+)") do counts[#counts + 1] = tonumber(count) end
      assert.is_true(#counts == 6 and counts[2] > 0, result.stderr)
      assert.equal(counts[2], counts[6], result.stderr)
    end)
  end

  it("takes what is written in pieces or many times, the last text in the end", function()
    write("x.lua", says("first"))
    local result = watched(spinning, { { "first\n", function()
      for i = 1, 100 do write("x.lua", says("number " .. i)) end
      local file <close> = assert(io.open(folder .. "/x.lua", "wb"))
      for byte in last:gmatch(".") do
        file:write(byte)
        file:flush()
      end
    end } }, "-s", "x.lua")
    assert.equal(7, result.status, result.stderr)
    assert.equal("lunette: reloaded x.lua\nlast\n", result.stderr:sub(-#"lunette: reloaded x.lua\nlast\n"))
  end)

  it("reloads a script that is loaded twice, twice", function()
    write("x.lua", says("first"))
    local result = watched(spinning, { { "first\nfirst\n", function() write("x.lua", last) end } },
                           "-s", "x.lua", "-s", "x.lua")
    assert.equal(7, result.status, result.stderr)
    local shown = result.stderr:gsub("last\nlast", "last")
    assert.equal("first\nfirst\nlunette: reloaded x.lua\nlunette: reloaded x.lua\nlast\n", shown)
  end)

  it("watches scripts that are loaded later, and modules that are required later", function()
    write("x.lua", [[
      lunette.load("late.lua")
      lunette.delay(1, function() print((require("part"))) end)]])
    write("late.lua", says("late"))
    write("part.lua", "return 'old'")
    local result = watched(spinning, {
      { "late\n", function() write("late.lua", says("late again")) end },
      { "late again\n", function() write("part.lua", "return 'new'") end },
      { "new\n", function() write("late.lua", last) end },
    }, "-s", "x.lua")
    assert.equal(7, result.status, result.stderr)
  end)

  for _, option in ipairs({ false, "--sandbox" }) do
    it("sees a module that comes after it was asked for" .. (option and ", with --sandbox" or ""), function()
      write("x.lua", says("first"))
      local result = watched(spinning, {
        { "first\n", function() write("x.lua", 'require("part")\n' .. last) end },
        { "hint: the old x.lua stays at work\n", function() write("part.lua", "return 1") end },
      }, "-s", "x.lua", option or nil)
      assert.equal(7, result.status, result.stderr)
      assert.is_truthy(result.stderr:find("^first\nlunette: x.lua:1: module 'part' not found"), result.stderr)
      assert.equal("lunette: reloaded x.lua\nlast\n", result.stderr:sub(-#"lunette: reloaded x.lua\nlast\n"))
    end)
  end

  it("says nothing of a script that another's new text has unloaded", function()
    write("x.lua", says("first"))
    write("y.lua", says("y"))
    local result = watched(spinning, { { "first\n", function()
      write("x.lua", 'lunette.unload("y.lua")\n' .. last)
      write("y.lua", 'print("y is back")')
    end } }, "-s", "x.lua", "-s", "y.lua")
    assert.equal(7, result.status, result.stderr)
    assert.is_nil(result.stderr:find("unloaded", 1, true), result.stderr)
    assert.is_nil(result.stderr:find("y is back", 1, true), result.stderr)
  end)

  it("leaves alone what can be read only once", function()
    local result = command.run("sh", { "-c", "echo \"$1\" | \"$0\" run --watch -s /dev/stdin app.wasm", command.lunette,
      'lunette.every(100, function(timer) n = (n or 0) + 1 if n == 3 then print("still there") lunette.stop(7) end end)' },
      { cwd = (function() files.write(folder .. "/app.wasm", wat(spinning)) return folder.path end)() })
    assert.equal(7, result.status, result.stderr)
    assert.equal("still there\n", result.stderr)
  end)

  it("ends with the guest: nothing is reloaded while the loop lingers", function()
    write("x.lua", [[
      lunette.at_exit(function()
        print("ended")
        io.open("x.lua", "w"):write("print('again')"):close()
        lunette.delay(300, function() lunette.uv.stop() end)
        lunette.linger(20000)
      end)]])
    local result = watched('(module (func (export "_start")))', {}, "-s", "x.lua")
    assert.equal(0, result.status)
    assert.equal("ended\n", result.stderr)
  end)

  it("works while the guest waits", function()
    write("x.lua", 'lunette.on("fd_read", function() print("waiting") end)')
    local result = watched(waiting, { { "waiting\n", function() write("x.lua", "lunette.stop(9)") end } }, "-s", "x.lua")
    assert.equal(9, result.status, result.stderr)
    assert.equal("waiting\nlunette: reloaded x.lua\n", result.stderr)
  end)

  it("works while the guest stands still", function()
    write("x.lua", 'lunette.on("tick", function() print("paused") lunette.pause() end)')
    write("y.lua", "")
    local result = watched(spinning, { { "paused\n", function() write("y.lua", "lunette.stop(9)") end } },
                           "--listen", "socket", "-s", "x.lua", "-s", "y.lua")
    assert.equal(9, result.status, result.stderr)
    assert.is_truthy(result.stderr:find("paused\n.*lunette: reloaded y.lua\n"), result.stderr)
  end)

  it("works on the script that stands still in its own callback", function()
    write("x.lua", 'lunette.on("tick", function() print("paused") lunette.pause() end)')
    local result = watched(spinning, { { "paused\n", function() write("x.lua", "lunette.stop(9)") end } },
                           "--listen", "socket", "-s", "x.lua")
    assert.equal(9, result.status, result.stderr)
    assert.is_truthy(result.stderr:find("paused\n.*lunette: reloaded x.lua\n"), result.stderr)
  end)

  local sized = command.preset == "tsan" and pending or it -- which holds the signal of a budget up
  sized("takes a script whose new text hangs for one that fails, with a budget", function()
    write("x.lua", says("first"))
    local result = watched(spinning, {
      { "first\n", function() write("x.lua", "while true do end") end },
      { "hint: the old x.lua stays at work\n", function() write("x.lua", last) end },
    }, "--script-time", "30ms", "-s", "x.lua")
    assert.equal(7, result.status, result.stderr)
    assert.is_truthy(result.stderr:find("lunette: x.lua:1: exceeded its script-time of", 1, true), result.stderr)
  end)
end)
