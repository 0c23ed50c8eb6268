-- SPDX-License-Identifier: MIT
-- The keys of the prompt on a terminal: lines that are completed, brought back, edited and given up; Ctrl-C, Ctrl-D, Ctrl-Z.
-- Whole screens compared.

local command = require("spec.support.command")
local files = require("spec.support.files")
local prompted = require("spec.support.prompted")
local screens = require("spec.support.screen")
local wat = require("spec.support.wat")

local guest, endless = prompted.guest, prompted.endless
local folder

before_each(function() folder = files.temporary() end)
after_each(function() files.remove(folder.path) end)

local function open(...) return prompted.open(folder, ...) end

describe("at the keys the prompt", function()
  it("completes commands, functions, fields and names of the API", function()
    local screen <close> = open(guest, "app.wasm")
    screen:types("breakp\t l")
    screen:keys("Tab")
    screen:shows [[
lunette 0.1.0. continue runs the guest; help shows the commands
lunette> breakpoint leaf▮]]
    screen:keys("Enter")
    screen:types("advance \t")
    screen:shows [[
lunette 0.1.0. continue runs the guest; help shows the commands
lunette> breakpoint leaf
breakpoint 1: 1 function
lunette> advance
_start  leaf  middle  proc_exit
lunette> advance ▮]]
    screen:types("_s\t\n")
    screen:shows [[
lunette 0.1.0. continue runs the guest; help shows the commands
lunette> breakpoint leaf
breakpoint 1: 1 function
lunette> advance
_start  leaf  middle  proc_exit
lunette> advance _start
_start()
lunette> ▮]]
    screen:types("guest.memory:\t")
    screen:shows [[
lunette 0.1.0. continue runs the guest; help shows the commands
lunette> breakpoint leaf
breakpoint 1: 1 function
lunette> advance
_start  leaf  middle  proc_exit
lunette> advance _start
_start()
lunette> guest.memory:
address  bytes  cstring  f32  f64  find  hexdump  i32  i64  s16  s8  size
string  u16  u32  u8  write
lunette> guest.memory:▮]]
    screen:types("hexd\t(16, 5)\n")
    screen:shows [[
lunette 0.1.0. continue runs the guest; help shows the commands
lunette> breakpoint leaf
breakpoint 1: 1 function
lunette> advance
_start  leaf  middle  proc_exit
lunette> advance _start
_start()
lunette> guest.memory:
address  bytes  cstring  f32  f64  find  hexdump  i32  i64  s16  s8  size
string  u16  u32  u8  write
lunette> guest.memory:hexdump(16, 5)
"00000010  68 65 6c 6c 6f                                    |hello|"
lunette> ▮]]
    screen:types("lunette.at\t")
    screen:keys("C-u")
    screen:types("on('mi\t")
    screen:shows [[
lunette 0.1.0. continue runs the guest; help shows the commands
lunette> breakpoint leaf
breakpoint 1: 1 function
lunette> advance
_start  leaf  middle  proc_exit
lunette> advance _start
_start()
lunette> guest.memory:
address  bytes  cstring  f32  f64  find  hexdump  i32  i64  s16  s8  size
string  u16  u32  u8  write
lunette> guest.memory:hexdump(16, 5)
"00000010  68 65 6c 6c 6f                                    |hello|"
lunette> on('middle▮]]
  end)

  it("brings lines back, also those of the last session and those that were wrong", function()
    do
      local screen <close> = open(guest, "app.wasm")
      screen:enters("1 + 2", "x = = 1", "for i = 1, 1 do", "  print(i)", "end")
      screen:waits()
      screen:keys("Up", "Up")
      screen:shows [[
lunette 0.1.0. continue runs the guest; help shows the commands
lunette> 1 + 2
3
lunette> x = = 1
unexpected symbol near '='
lunette> for i = 1, 1 do
...   print(i)
... end
1
lunette> x = = 1▮]]
      screen:keys("C-u")
      screen:enters("quit")
      assert.equal(0, screen:ends())
    end
    local screen <close> = open(guest, "app.wasm")
    screen:keys("Up", "Up")
    screen:shows [[
lunette 0.1.0. continue runs the guest; help shows the commands
lunette> for i = 1, 1 do
  print(i)
end▮]]
    screen:keys("Enter")
    screen:waits()
    screen:keys("Up", "Up", "Up", "Up")
    screen:shows [[
lunette 0.1.0. continue runs the guest; help shows the commands
lunette> for i = 1, 1 do
  print(i)
end
1
lunette> x = = 1▮]]
    screen:keys("Enter")
    screen:shows [[
lunette 0.1.0. continue runs the guest; help shows the commands
lunette> for i = 1, 1 do
  print(i)
end
1
lunette> x = = 1
unexpected symbol near '='
lunette> ▮]]
  end)

  it("edits lines that hold what is not ASCII", function()
    local screen <close> = open(guest, "app.wasm")
    screen:types('"grüße, 世界"')
    screen:keys("Left", "Left", "BSpace", "Home")
    screen:shows [[
lunette 0.1.0. continue runs the guest; help shows the commands
lunette> ▮"grüße, 界"]]
    screen:keys("Enter")
    screen:shows [[
lunette 0.1.0. continue runs the guest; help shows the commands
lunette> "grüße, 界"
"grüße, 界"
lunette> ▮]]
  end)

  it("gives a line up at Ctrl-C", function()
    local screen <close> = open(guest, "app.wasm")
    screen:types("40 + ")
    screen:shows [[
lunette 0.1.0. continue runs the guest; help shows the commands
lunette> 40 + ▮]]
    screen:keys("C-c")
    screen:enters("1 + 2")
    screen:shows [[
lunette 0.1.0. continue runs the guest; help shows the commands
lunette> 40 +
lunette> 1 + 2
3
lunette> ▮]]
  end)

  it("is left at Ctrl-D, as by quit", function()
    local screen <close> = open(guest, "app.wasm")
    screen:enters("advance leaf")
    screen:shows [[
lunette 0.1.0. continue runs the guest; help shows the commands
lunette> advance leaf
leaf(n=1)
lunette> ▮]]
    screen:keys("C-d")
    assert.equal(0, screen:ends())
    screen:shows [[
lunette 0.1.0. continue runs the guest; help shows the commands
lunette> advance leaf
leaf(n=1)
lunette> ^D]]
  end)

  it("comes back at Ctrl-C while the guest runs, also in a loop without calls", function()
    local screen <close> = open(endless, "-e", "lunette.on('spin', function() print('spinning') end)", "app.wasm")
    screen:enters("continue")
    screen:shows [[
lunette 0.1.0. continue runs the guest; help shows the commands
lunette> continue
spinning
▮]]
    screen:keys("C-c")
    screen:enters("bt", "finish", "guest.exports.turns.value > 0")
    screen:shows [[
lunette 0.1.0. continue runs the guest; help shows the commands
lunette> continue
spinning
^C
paused in spin
lunette> bt
*#0  spin(n=1) 0x41
 #1  _start() 0x49
lunette> finish
finish needs a stop at a call: by step, advance or a breakpoint
lunette> guest.exports.turns.value > 0
true
lunette> ▮]]
    screen:keys("C-d")
    assert.equal(0, screen:ends())
  end)

  it("leaves the timers at work while Ctrl-C has stopped the guest", function()
    local script = "lunette.every(5, function() if os.remove('go') then print('tick') end end) " ..
      "lunette.on('spin', function() print('spinning') end)"
    local screen <close> = open(endless, "-e", script, "app.wasm")
    screen:enters("continue")
    screen:shows [[
lunette 0.1.0. continue runs the guest; help shows the commands
lunette> continue
spinning
▮]]
    screen:keys("C-c")
    screen:waits()
    files.write(folder .. "/go", "")
    screen:shows [[
lunette 0.1.0. continue runs the guest; help shows the commands
lunette> continue
spinning
^C
paused in spin
tick
lunette> ▮]]
  end)

  it("says so where the guest does not come to stand at Ctrl-C; a second one quits", function()
    local screen <close> = open(guest, "-e", "lunette.on('leaf', function() print('busy') while true do end end)", "app.wasm")
    screen:enters("continue")
    screen:shows [[
lunette 0.1.0. continue runs the guest; help shows the commands
lunette> continue
busy
▮]]
    screen:keys("C-c")
    screen:shows [[
lunette 0.1.0. continue runs the guest; help shows the commands
lunette> continue
busy
^C
lunette: a script or a host function does not return; Ctrl-C once more quits
▮]]
    screen:keys("C-c")
    assert.equal(130, screen:ends())
    screen:shows [[
lunette 0.1.0. continue runs the guest; help shows the commands
lunette> continue
busy
^C
lunette: a script or a host function does not return; Ctrl-C once more quits
^C]]
  end)

  it("keeps the line that is being typed below what scripts write meanwhile", function()
    local script = "lunette.every(5, function() if os.remove('go') then print('tick') error('no') end end)"
    local screen <close> = open(guest, "-e", script, "app.wasm")
    screen:types("1 +")
    screen:shows [[
lunette 0.1.0. continue runs the guest; help shows the commands
lunette> 1 +▮]]
    files.write(folder .. "/go", "")
    screen:shows [[
lunette 0.1.0. continue runs the guest; help shows the commands
tick
lunette: -e:1: no
  stack traceback:
    [C]: in function 'error'
    -e:1: in function <-e:1>
    [C]: in ?
lunette> 1 +▮]]
    screen:types(" 2\n")
    screen:shows [[
lunette 0.1.0. continue runs the guest; help shows the commands
tick
lunette: -e:1: no
  stack traceback:
    [C]: in function 'error'
    -e:1: in function <-e:1>
    [C]: in ?
lunette> 1 + 2
3
lunette> ▮]]
  end)

  it("fits a line to the window", function()
    local screen <close> = open(guest, "app.wasm")
    screen:types('"0123456789 123456789 123456789 123456789 123456789 123456789 123456789 123456789"')
    screen:shows [[
lunette 0.1.0. continue runs the guest; help shows the commands
lunette> "0123456789 123456789 123456789 123456789 123456789 123456789 123456789
 123456789"▮]]
    screen:resizes(40, 12)
    screen:shows [[
lunette> "0123456789 123456789 123456789
 123456789 123456789 123456789 123456789
 123456789"▮]]
    screen:keys("Left", "Left", "x")
    screen:shows [[
lunette> "0123456789 123456789 123456789
 123456789 123456789 123456789 123456789
 12345678x▮9"]]
    screen:keys("Enter")
    screen:shows [[
lunette> "0123456789 123456789 123456789
 123456789 123456789 123456789 123456789
 12345678x9"
"0123456789 123456789 123456789 12345678
9 123456789 123456789 123456789 12345678
x9"
lunette> ▮]]
  end)

  it("is stopped by Ctrl-Z, and shows its line again in the foreground", function()
    files.write(folder .. "/app.wasm", wat(guest))
    local screen <close> = screens.open { "bash", "--norc", "--noprofile", "-i", cwd = folder.path,
      env = { XDG_STATE_HOME = folder.path, PS1 = "$ ", LUNETTE = command.lunette } }
    screen:shows "$ ▮"
    screen:types('"$LUNETTE" repl app.wasm\n')
    screen:shows [[
$ "$LUNETTE" repl app.wasm
lunette 0.1.0. continue runs the guest; help shows the commands
lunette> ▮]]
    screen:types("1 + 2")
    screen:shows [[
$ "$LUNETTE" repl app.wasm
lunette 0.1.0. continue runs the guest; help shows the commands
lunette> 1 + 2▮]]
    screen:keys("C-z")
    screen:shows [[
$ "$LUNETTE" repl app.wasm
lunette 0.1.0. continue runs the guest; help shows the commands
lunette> 1 + 2
[1]+  Stopped                 "$LUNETTE" repl app.wasm
$ ▮]]
    screen:types("fg >/dev/null\n")
    screen:shows [[
$ "$LUNETTE" repl app.wasm
lunette 0.1.0. continue runs the guest; help shows the commands
lunette> 1 + 2
[1]+  Stopped                 "$LUNETTE" repl app.wasm
$ fg >/dev/null
lunette> 1 + 2▮]]
    screen:keys("Enter")
    screen:shows [[
$ "$LUNETTE" repl app.wasm
lunette 0.1.0. continue runs the guest; help shows the commands
lunette> 1 + 2
[1]+  Stopped                 "$LUNETTE" repl app.wasm
$ fg >/dev/null
lunette> 1 + 2
3
lunette> ▮]]
  end)
end)
