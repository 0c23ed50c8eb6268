-- SPDX-License-Identifier: MIT
-- The prompt as a user sees it: on a terminal of 80 columns and 24 rows, whole screens compared. Keys: screen_keys_spec.lua.

local files = require("spec.support.files")
local prompted = require("spec.support.prompted")

local guest = prompted.guest
local folder

before_each(function() folder = files.temporary() end)
after_each(function() files.remove(folder.path) end)

local function open(...) return prompted.open(folder, ...) end

describe("on a terminal the prompt", function()
  it("shows where a breakpoint stops: stack, frames, params, locals", function()
    local screen <close> = open(guest, "app.wasm")
    screen:enters("breakpoint leaf", "continue", "bt", "up", "params", "locals", "down")
    screen:shows [[
lunette 0.1.0. continue runs the guest; help shows the commands
lunette> breakpoint leaf
breakpoint 1: 1 function
lunette> continue
breakpoint 1: leaf(n=1)
lunette> bt
*#0  leaf(n=1) 0xa5
 #1  middle(n=1, x=2.5) 0xbb
 #2  _start() 0xd1
lunette> up
*#1  middle(n=1, x=2.5) 0xbb
lunette> params
  n  i32  1
  x  f64  2.5
lunette> locals
  sum  i32  -2
  #3   f64  2.5
lunette> down
*#0  leaf(n=1) 0xa5
lunette> ▮]]
    screen:enters("delete 1", "continue")
    screen:shows [[
lunette 0.1.0. continue runs the guest; help shows the commands
lunette> breakpoint leaf
breakpoint 1: 1 function
lunette> continue
breakpoint 1: leaf(n=1)
lunette> bt
*#0  leaf(n=1) 0xa5
 #1  middle(n=1, x=2.5) 0xbb
 #2  _start() 0xd1
lunette> up
*#1  middle(n=1, x=2.5) 0xbb
lunette> params
  n  i32  1
  x  f64  2.5
lunette> locals
  sum  i32  -2
  #3   f64  2.5
lunette> down
*#0  leaf(n=1) 0xa5
lunette> delete 1
lunette> continue
the guest has ended with status 3
lunette> ▮]]
    screen:enters("quit")
    assert.equal(3, screen:ends())
  end)

  it("shows globals, tables and memory", function()
    local screen <close> = open(guest, "app.wasm")
    screen:enters("globals", "tables", "tables handlers", "mem 16 10", "mem 0x10 3 u16", "memory:cstring(16)",
      "guest.exports.count.value")
    screen:shows [[
lunette 0.1.0. continue runs the guest; help shows the commands
lunette> globals
  #0  mut i32  7    count
  #1  f64      1.5
lunette> tables
  #0  funcref  3 elements  handlers
lunette> tables handlers
  0  nil
  1  leaf  #1
  2  nil
lunette> mem 16 10
00000010  68 65 6c 6c 6f 00 01 02  03 04                    |hello.....|
lunette> mem 0x10 3 u16
  0x10  25960
  0x12  27756
  0x14  111
lunette> memory:cstring(16)
"hello"
lunette> guest.exports.count.value
7
lunette> ▮]]
  end)

  it("steps, advances, finishes, and traces", function()
    local screen <close> = open(guest, "app.wasm")
    screen:enters("step", "step", "step", "finish", "advance mid*", "trace on", "advance leaf", "finish", "trace off", "step")
    screen:shows [[
lunette 0.1.0. continue runs the guest; help shows the commands
lunette> step
_start()
lunette> step
middle(n=1, x=2.5)
lunette> step
leaf(n=1)
lunette> finish
leaf returned 8
lunette> advance mid*
middle(n=2, x=0.5)
lunette> trace on
lunette> advance leaf
leaf(n=2)
lunette> finish
leaf returned 9
lunette> trace off
lunette> step
leaf(n=100)
lunette> ▮]]
  end)

  it("stops where a condition holds, and lists breakpoints", function()
    local screen <close> = open(guest, "app.wasm")
    screen:enters("breakpoint leaf n > 50", 'breakpoint "mid*" if x < 1', "breakpoint", "continue", "continue", "delete 2",
      "breakpoint")
    screen:shows [[
lunette 0.1.0. continue runs the guest; help shows the commands
lunette> breakpoint leaf n > 50
breakpoint 1: 1 function
lunette> breakpoint "mid*" if x < 1
breakpoint 2: 1 function
lunette> breakpoint
  1  "leaf"  if n > 50
  2  "mid*"  if x < 1
lunette> continue
breakpoint 1: leaf(n=100)
lunette> continue
breakpoint 2: middle(n=2, x=0.5)
lunette> delete 2
lunette> breakpoint
  1  "leaf"  if n > 50
lunette> ▮]]
  end)

  it("runs Lua, listens, and calls exports", function()
    local screen <close> = open(guest, "app.wasm")
    screen:enters('functions "*"', "on('leaf', function(call, n) print('leaf', n) end)", "guest:invoke('leaf', 5)",
      "{ 1, 2, name = { x = true } }", "advance middle", "call:param('x'), call.depth", "step")
    screen:shows [[
lunette 0.1.0. continue runs the guest; help shows the commands
lunette> functions "*"
  #0  proc_exit  (i32)
  #1  leaf       (n: i32) -> i32
  #2  middle     (n: i32, x: f64) -> i32
  #3  _start     ()
lunette> on('leaf', function(call, n) print('leaf', n) end)
attachment prompt
lunette> guest:invoke('leaf', 5)
leaf    5
12
lunette> { 1, 2, name = { x = true } }
{ 1, 2, name = { x = true } }
lunette> advance middle
middle(n=1, x=2.5)
lunette> call:param('x'), call.depth
2.5  1
lunette> step
leaf    1
leaf(n=1)
lunette> ▮]]
  end)

  it("shows long and odd values within bounds", function()
    files.write(folder .. "/watch.lua", "lunette.on('leaf', function() end)")
    local screen <close> = open(guest, "-s", "watch.lua", "app.wasm")
    screen:enters("('é'):rep(2000)", "reload watch.lua", "lunette.scripts", "'\\27[31m', '\\255'", "self = {}",
      "self.self = self", "self",
      "setmetatable({}, { __tostring = function() error('no') end })", "unload watch.lua", "#lunette.scripts")
    screen:shows [[
lunette 0.1.0. continue runs the guest; help shows the commands
lunette> ('é'):rep(2000)
"ééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééé
éééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééé
éééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééé
éééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééé
" and 3362 bytes more
lunette> reload watch.lua
script: watch.lua
lunette> lunette.scripts
{ script: watch.lua }
lunette> '\27[31m', '\255'
"\x1b[31m"  "\xff"
lunette> self = {}
lunette> self.self = self
lunette> self
{ self = <the same table> }
lunette> setmetatable({}, { __tostring = function() error('no') end })
<table>
lunette> unload watch.lua
lunette> #lunette.scripts
0
lunette> ▮]]
  end)

  it("tells of a listener that fails, and goes on", function()
    local screen <close> = open(guest, "app.wasm")
    screen:enters("on('leaf', function(call) error('oops') end)", "advance middle", "step", "finish", "step")
    screen:shows [[
lunette 0.1.0. continue runs the guest; help shows the commands
lunette> on('leaf', function(call) error('oops') end)
attachment prompt
lunette> advance middle
middle(n=1, x=2.5)
lunette> step
leaf(n=1)
lunette> finish
lunette: prompt:1: oops
  stack traceback:
    [C]: in function 'error'
    prompt:1: in function <prompt:1>
leaf returned 8
lunette> step
leaf(n=100)
lunette> ▮]]
  end)

  it("goes on over lines", function()
    local screen <close> = open(guest, "app.wasm")
    screen:enters("for i = 1, 2 do", "  print(i)", "end", "f = function(")
    screen:shows [[
lunette 0.1.0. continue runs the guest; help shows the commands
lunette> for i = 1, 2 do
...   print(i)
... end
1
2
lunette> f = function(
... ▮]]
    screen:keys("C-c")
    screen:shows [[
lunette 0.1.0. continue runs the guest; help shows the commands
lunette> for i = 1, 2 do
...   print(i)
... end
1
2
lunette> f = function(
...
lunette> ▮]]
    screen:keys("Up")
    screen:shows [[
lunette 0.1.0. continue runs the guest; help shows the commands
lunette> for i = 1, 2 do
...   print(i)
... end
1
2
lunette> f = function(
...
lunette> f = function(▮]]
  end)

  it("takes pasted lines one by one", function()
    local screen <close> = open(guest, "app.wasm")
    screen:pastes("for i = 1, 3 do\n  print(i)\nend\nx = 5\nx\n")
    screen:shows [[
lunette 0.1.0. continue runs the guest; help shows the commands
lunette> for i = 1, 3 do
...   print(i)
... end
1
2
3
lunette> x = 5
lunette> x
5
lunette> ▮]]
  end)

  it("helps within the window", function()
    local screen <close> = open(guest, "app.wasm")
    screen:enters("help")
    screen:shows [=[
lunette 0.1.0. continue runs the guest; help shows the commands
lunette> help
  bt [N]                          the stack, top first, with arguments
  up|down [N]                     chooses the caller's frame, the callee's
  params                          the params of the chosen frame
  locals                          the locals of the chosen frame
  globals                         the guest's globals
  tables [TABLE [FIRST [N]]]      the guest's tables; elements of one
  mem ADDR [N] [TYPE]             N bytes of memory, or values: u8 i32 f64 …
  functions [WHERE]               the functions that match
  continue                        lets the guest run
  step                            runs to the next call
  advance WHERE                   runs to the next call that matches
  finish                          runs to the end of this call
  breakpoint [WHERE [CONDITION]]  stops at calls that match, or lists them
  delete N                        takes a breakpoint away
  trace on|off                    the script calltree, which shows every call
  load|unload|reload SCRIPT       as the functions of lunette
  help [NAME]                     this, or more of a name
  quit                            ends the guest, and the prompt
Anything else is Lua, which knows lunette, call, guest, memory and on.
help NAME tells more of a command, and explains lunette.NAME
lunette> ▮]=]
    screen:clears()
    screen:enters("help mem", "help lunette.pause", "help stpe")
    screen:shows [[
lunette> help mem
mem ADDR [N] [TYPE]
    N bytes of memory, or N values of a type: u8 s16 u32 i32 i64 f32 f64 …
lunette> help lunette.pause
lunette.pause()
    the guest stands still and the prompt asks; at the next call where none is
    at hand (the command only)
lunette> help stpe
there is no help on "stpe"
lunette> ▮]]
  end)

  it("says what is wrong with a line", function()
    local screen <close> = open(guest, "app.wasm")
    screen:enters("contniue", "stepp 3", "break leaf", 'brekpoint "leaf"', "unheard", "x = = 1", "error('no')", "lunette.onn")
    screen:shows [[
lunette 0.1.0. continue runs the guest; help shows the commands
lunette> contniue
contniue: no such command or variable; did you mean 'continue'?
lunette> stepp 3
stepp: no such command; did you mean 'step'?
lunette> break leaf
break: no such command; did you mean 'breakpoint'?
lunette> brekpoint "leaf"
brekpoint: no such command; did you mean 'breakpoint'?
lunette> unheard
unheard: no such command or variable
lunette> x = = 1
unexpected symbol near '='
lunette> error('no')
no
lunette> lunette.onn
lunette.onn: no such field; did you mean 'on'?
lunette> ▮]]
    screen:clears()
    screen:enters("mem", "up", "breakpoint leaf n >", "tables 9", "functions none_such", "advance", "finish", "trace maybe",
      "unload x", "guest:invoke('none')", "no and 1", "not no")
    screen:shows [[
mem wants more: mem ADDR [N] [TYPE]
lunette> up
the guest is not at work: there is no stack
lunette> breakpoint leaf n >
breakpoint: condition n >: unexpected symbol near <eof>
lunette> tables 9
app has no table number 9
lunette> functions none_such
  none
lunette> advance
advance wants more: advance WHERE
lunette> finish
finish needs a stop at a call: by step, advance or a breakpoint
lunette> trace maybe
trace on, or trace off
lunette> unload x
unload: no script "x" is loaded
lunette> guest:invoke('none')
app exports no function 'none'
lunette> no and 1
nil
lunette> not no
true
lunette> ▮]]
  end)
end)
