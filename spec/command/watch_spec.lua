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
