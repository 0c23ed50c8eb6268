-- SPDX-License-Identifier: MIT
-- lunette connect as a user sees it: whole screens of one who is at the guest's prompt from afar, and of the others.

local command = require("spec.support.command")
local files = require("spec.support.files")
local screens = require("spec.support.screen")
local wat = require("spec.support.wat")

local guest = [[(module
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (global $count (export "count") (mut i32) (i32.const 7))
  (memory (export "memory") 1)
  (data (i32.const 16) "hello")
  (func $leaf (export "leaf") (param $n i32) (result i32)
    (i32.add (local.get $n) (global.get $count)))
  (func $middle (param $n i32) (result i32)
    (i32.add (call $leaf (local.get $n)) (call $leaf (i32.const 100))))
  (func (export "_start")
    (drop (call $middle (i32.const 1)))
    (drop (call $middle (i32.const 2)))
    (call $proc_exit (i32.const 3))))]]

local endless = [[(module (func $spin (loop $again (br $again))) (func (export "_start") (call $spin)))]]

local pauses = "lunette.on('middle', function(call, n) if n == 1 then print('pausing') lunette.pause() end end)"

local welcome = "lunette 0.1.0, connected: help shows the commands, quit leaves\n"

local folder

before_each(function() folder = files.temporary() end)
after_each(function() files.remove(folder.path) end)

-- The program, on a terminal of its own; its script has said `word`.
local function serve(module, script, word)
  files.write(folder .. "/app.wasm", wat(module))
  local server = screens.open { command.lunette, "run", "--listen", "socket", "-e", script, "app.wasm", cwd = folder.path }
  server:shows(word .. "\n▮")
  return server
end

local function connect()
  return screens.open { command.lunette, "connect", "socket", cwd = folder.path, env = { XDG_STATE_HOME = folder.path } }
end

describe("lunette connect on a terminal", function()
  it("is the prompt, through the socket", function()
    local server <close> = serve(guest, pauses, "pausing")
    local screen <close> = connect()
    screen:shows [[
lunette 0.1.0, connected: help shows the commands, quit leaves
paused in middle
lunette> ▮]]
    screen:enters("bt", "params", "globals", "mem 16 5", "on('leaf', function(call, n) print('leaf', n) end)",
      "guest:invoke('leaf', 5)", "step")
    screen:shows [[
lunette 0.1.0, connected: help shows the commands, quit leaves
paused in middle
lunette> bt
*#0  middle(n=1) 0x81
 #1  _start() 0x90
lunette> params
  n  i32  1
lunette> globals
  #0  mut i32  7  count
lunette> mem 16 5
00000010  68 65 6c 6c 6f                                    |hello|
lunette> on('leaf', function(call, n) print('leaf', n) end)
attachment prompt
lunette> guest:invoke('leaf', 5)
leaf    5
12
lunette> step
leaf    1
leaf(n=1)
lunette> ▮]]
    screen:clears()
    screen:enters("finish")
    screen:shows [[
lunette> finish
leaf returned 8
lunette> ▮]]
    screen:enters("breakpoint leaf n > 50 and n", "delete 1", "breakpoint leaf n > 50", "continue")
    screen:shows [[
lunette> finish
leaf returned 8
lunette> breakpoint leaf n > 50 and n
breakpoint 1: 1 function
lunette> delete 1
lunette> breakpoint leaf n > 50
breakpoint 2: 1 function
lunette> continue
leaf    100
breakpoint 2: leaf(n=100)
lunette> ▮]]
    screen:enters("x = = 1", "contniue", "finish")
    screen:shows [[
lunette> finish
leaf returned 8
lunette> breakpoint leaf n > 50 and n
breakpoint 1: 1 function
lunette> delete 1
lunette> breakpoint leaf n > 50
breakpoint 2: 1 function
lunette> continue
leaf    100
breakpoint 2: leaf(n=100)
lunette> x = = 1
unexpected symbol near '='
lunette> contniue
contniue: no such command or variable; did you mean 'continue'?
lunette> finish
leaf returned 107
lunette> ▮]]
    screen:enters("advance mid*")
    screen:shows [[
lunette> finish
leaf returned 8
lunette> breakpoint leaf n > 50 and n
breakpoint 1: 1 function
lunette> delete 1
lunette> breakpoint leaf n > 50
breakpoint 2: 1 function
lunette> continue
leaf    100
breakpoint 2: leaf(n=100)
lunette> x = = 1
unexpected symbol near '='
lunette> contniue
contniue: no such command or variable; did you mean 'continue'?
lunette> finish
leaf returned 107
lunette> advance mid*
middle(n=2)
lunette> ▮]]
    screen:enters("delete 2", "continue")
    assert.equal(0, screen:ends())
    screen:shows [[
lunette> finish
leaf returned 8
lunette> breakpoint leaf n > 50 and n
breakpoint 1: 1 function
lunette> delete 1
lunette> breakpoint leaf n > 50
breakpoint 2: 1 function
lunette> continue
leaf    100
breakpoint 2: leaf(n=100)
lunette> x = = 1
unexpected symbol near '='
lunette> contniue
contniue: no such command or variable; did you mean 'continue'?
lunette> finish
leaf returned 107
lunette> advance mid*
middle(n=2)
lunette> delete 2
lunette> continue
leaf    2
leaf    100
the guest has ended with status 3]]
    assert.equal(3, server:ends())
    server:shows [[
pausing]]
  end)

  it("completes, goes on over lines, and keeps a history", function()
    local _ <close> = serve(guest, pauses, "pausing")
    local screen <close> = connect()
    screen:waits()
    screen:types("guest.ex\t")
    screen:shows [[
lunette 0.1.0, connected: help shows the commands, quit leaves
paused in middle
lunette> guest.exports▮]]
    screen:types(".count.value\n")
    screen:waits()
    screen:types("advance \t")
    screen:shows [[
lunette 0.1.0, connected: help shows the commands, quit leaves
paused in middle
lunette> guest.exports.count.value
7
lunette> advance
_start  leaf  middle  proc_exit
lunette> advance ▮]]
    screen:keys("C-c")
    screen:enters("for i = 1, 2 do", "  print(i)", "end", "for i = 1, 2 do")
    screen:waits()
    screen:keys("C-c")
    screen:shows [[
lunette 0.1.0, connected: help shows the commands, quit leaves
paused in middle
lunette> guest.exports.count.value
7
lunette> advance
_start  leaf  middle  proc_exit
lunette> advance
lunette> for i = 1, 2 do
...   print(i)
... end
1
2
lunette> for i = 1, 2 do
...
lunette> ▮]]
    screen:keys("Up", "Up", "Up")
    screen:shows [[
lunette 0.1.0, connected: help shows the commands, quit leaves
paused in middle
lunette> guest.exports.count.value
7
lunette> advance
_start  leaf  middle  proc_exit
lunette> advance
lunette> for i = 1, 2 do
...   print(i)
... end
1
2
lunette> for i = 1, 2 do
...
lunette>   print(i)▮]]
    screen:keys("C-u", "C-d")
    assert.equal(0, screen:ends())
  end)

  it("makes a running guest stand still at Ctrl-C", function()
    local server <close> = serve(endless, "lunette.on('spin', function() print('spinning') end)", "spinning")
    local screen <close> = connect()
    screen:shows(welcome .. "lunette> ▮")
    screen:keys("C-c")
    screen:shows [[
lunette 0.1.0, connected: help shows the commands, quit leaves
lunette>
paused in spin
lunette> ▮]]
    screen:enters("bt", "continue")
    screen:waits()
    screen:types("half a line")
    screen:shows [[
lunette 0.1.0, connected: help shows the commands, quit leaves
lunette>
paused in spin
lunette> bt
*#0  spin() 0x26
 #1  _start() 0x2c
lunette> continue
lunette> half a line▮]]
    server:keys("C-c")
    assert.equal(0, screen:ends())
    screen:shows [[
lunette 0.1.0, connected: help shows the commands, quit leaves
lunette>
paused in spin
lunette> bt
*#0  spin() 0x26
 #1  _start() 0x2c
lunette> continue
the guest has ended with status 130]]
    assert.equal(130, server:ends())
  end)

  it("leaves at Ctrl-C where no answer comes", function()
    local _ <close> = serve(endless, "lunette.on('spin', function() print('spinning') end)", "spinning")
    local screen <close> = connect()
    screen:enters("while true do end")
    screen:shows [[
lunette 0.1.0, connected: help shows the commands, quit leaves
lunette> while true do end
▮]]
    screen:keys("C-c")
    assert.equal(130, screen:ends())
  end)

  it("serves two, of whom one stands still; when he dies the guest goes on", function()
    local server <close> = serve(guest, pauses, "pausing")
    local first = connect()
    first:shows [[
lunette 0.1.0, connected: help shows the commands, quit leaves
paused in middle
lunette> ▮]]
    local second <close> = connect()
    second:enters("guest.exports.count.value", "1 + 1")
    second:waits()
    second:types("half a")
    second:shows [[
lunette 0.1.0, connected: help shows the commands, quit leaves
lunette> guest.exports.count.value
7
lunette> 1 + 1
2
lunette> half a▮]]
    first:__close()
    assert.equal(0, second:ends())
    second:shows [[
lunette 0.1.0, connected: help shows the commands, quit leaves
lunette> guest.exports.count.value
7
lunette> 1 + 1
2
the guest has ended with status 3]]
    assert.equal(3, server:ends())
  end)
end)
