-- SPDX-License-Identifier: MIT
-- The prompt: driven by a pipe, whole dialogues compared; and on a terminal of its own, keys and all.

local command = require("spec.support.command")
local files = require("spec.support.files")
local run = require("spec.support.run")
local wat = require("spec.support.wat")

local guest = [[(module
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (global $count (export "count") (mut i32) (i32.const 7))
  (global f64 (f64.const 1.5))
  (memory (export "memory") 1)
  (data (i32.const 16) "hello\00\01\02\03\04")
  (func $leaf (export "leaf") (param $n i32) (result i32)
    (i32.add (local.get $n) (global.get $count)))
  (func $middle (param $n i32) (param $x f64) (result i32) (local $sum i32) (local f64)
    (local.set $sum (i32.const -2))
    (local.set 3 (local.get $x))
    (i32.add (call $leaf (local.get $n)) (call $leaf (i32.const 100))))
  (func (export "_start")
    (drop (call $middle (i32.const 1) (f64.const 2.5)))
    (drop (call $middle (i32.const 2) (f64.const 0.5)))
    (call $proc_exit (i32.const 3))))]]

local welcome = "lunette 0.1.0. continue runs the guest; help shows the commands\n"

-- What the prompt says to the lines; the title is left out.
local function dialogue(lines, options)
  local spec = { guest = guest, stdin = table.concat(lines, "\n") .. "\n", "repl" }
  for key, value in pairs(options or {}) do
    if type(key) == "string" then spec[key] = value else spec[#spec + 1] = value end
  end
  spec[#spec + 1] = "app.wasm"
  local result = run(spec)
  assert.equal(welcome, result.stderr:sub(1, #welcome))
  return result.stderr:sub(#welcome + 1), result
end

describe("the prompt", function()
  it("stops at a breakpoint and shows the stack with arguments, frames, memory and globals", function()
    local said, result = dialogue({
      "breakpoint leaf", "continue", "bt", "params", "locals", "up", "params", "locals", "down", "down",
      "mem 16 10", "mem 16 2 u8", "globals",
      "delete 1", "breakpoint", "continue",
    })
    assert.equal([[
breakpoint 1: 1 function
breakpoint 1: leaf(n=1)
*#0  leaf(n=1) 0x8b
 #1  middle(n=1, x=2.5) 0xa1
 #2  _start() 0xb7
  n  i32  1
  none
*#1  middle(n=1, x=2.5) 0xa1
  n  i32  1
  x  f64  2.5
  sum  i32  -2
  #3   f64  2.5
*#0  leaf(n=1) 0x8b
this is the innermost frame
00000010  68 65 6c 6c 6f 00 01 02  03 04                    |hello.....|
  0x10  104
  0x11  101
  #0  mut i32  7    count
  #1  f64      1.5
  none
the guest has ended with status 3
]], said)
    assert.equal(3, result.status)
  end)

  it("shows tables and their elements", function()
    local said = dialogue({ "advance leaf", "tables", "tables 0", "tables names", "tables 0 1 1", "tables 0 9", "tables 7",
      "tables no", "quit" }, { guest = [[(module
        (table $first 3 funcref) (table (export "names") 1 externref)
        (elem (table $first) (i32.const 1) func $leaf)
        (func $leaf) (func (export "_start") (call $leaf)))]] })
    assert.equal([[
leaf()
  #0  funcref    3 elements
  #1  externref  1 elements  names
  0  nil
  1  leaf  #0
  2  nil
  0  nil
  1  leaf  #0
  none
app has no table number 7
app exports no table 'no'
]], said)
  end)

  it("steps, advances, finishes", function()
    local said = dialogue({ "step", "step", "", "finish", "advance leaf", "finish", "finish", "quit" })
    assert.equal([[
_start()
middle(n=1, x=2.5)
leaf(n=1)
leaf returned 8
leaf(n=100)
leaf returned 107
finish needs a stop at a call: by step, advance or a breakpoint
]], said)
  end)

  it("R21 takes no call's time where a host function pauses, nor does what is called there", function()
    local said = dialogue({ "continue", "lunette.guest:invoke('leaf')", "continue" }, {
      "-e", [[lunette.host("env", { stop = { function() lunette.pause() end } })
        lunette.on({ "leaf", "outer" }, { after = function(call)
          lunette.out:printf("%s has all of its time: %s\n", call.name, call.self_time == call.elapsed)
        end }, { time = true })]],
      guest = [[(module (import "env" "stop" (func $stop))
        (memory (export "memory") 1)
        (func (export "leaf"))
        (func $outer (call $stop))
        (func (export "_start") (call $outer)))]],
    })
    assert.equal([[
paused in stop
leaf has all of its time: true
outer has all of its time: true
the guest has ended with status 0
]], said)
  end)

  it("shows a hundred values of memory, and how many more were asked for", function()
    local said = dialogue({ "mem 16 103 u8", "quit" })
    assert.equal("  0x73  0\n  and 3 more\n", said:sub(-23))
    assert.equal(101, select(2, said:gsub("\n", "")))
  end)

  it("stops where a condition holds", function()
    local said = dialogue({ 'breakpoint "leaf" n > 50', "breakpoint", "breakpoint middle if x < 1", "continue", "continue",
      "continue", "quit" })
    assert.equal([[
breakpoint 1: 1 function
  1  "leaf"  if n > 50
breakpoint 2: 1 function
breakpoint 1: leaf(n=100)
breakpoint 2: middle(n=2, x=0.5)
breakpoint 1: leaf(n=100)
]], said)
  end)

  it("runs Lua, shows values, goes on over lines, and outlives errors", function()
    local said = dialogue({
      "1 + 1, 'a\\tb', nil", "{ 1, 2, name = { x = true } }",
      "function f(a)", "  return a * 2", "end", "f(21)", "for i = 1, 2 do",
      "print(i)", "end", "x = = 1", "error('no')", "lunette.onn", "guest:invoke('leaf', 5)", "mem(16, 1, 'u8')",
      "functions('m*')", "unknown", "quit",
    })
    assert.equal([[
2  "a\tb"  nil
{ 1, 2, name = { x = true } }
42
1
2
unexpected symbol near '='
no
lunette.onn: no such field; did you mean 'on'?
12
  0x10  104
  #2  middle  (n: i32, x: f64) -> i32
unknown: no such command or variable
]], said)
  end)

  it("listens live, and traces", function()
    local said = dialogue({
      "on('leaf', function(call, n) print('leaf', n) end)", "advance middle", "trace on", "advance middle", "trace off", "quit",
    })
    assert.equal([[
attachment prompt
middle(n=1, x=2.5)
leaf	1
leaf(n=1) = 8
leaf	100
leaf(n=100) = 107
middle(n=2, x=0.5)
]], said)
  end)

  it("stays when the guest has ended, until it is left", function()
    local said, result = dialogue({ "continue", "bt", "guest.exports.count.value", "guest:invoke('leaf', 1)", "step", "quit" })
    assert.equal([[
the guest has ended with status 3
the guest is not at work: there is no stack
7
8
the guest has ended
]], said)
    assert.equal(3, result.status)
  end)

  it("ends the guest when it is left at a stop, with status 0", function()
    local said, result = dialogue({ "advance leaf", "quit" })
    assert.same({ "leaf(n=1)\n", 0 }, { said, result.status })
    assert.same({ "", 0 }, { dialogue({ "quit" }) , select(2, dialogue({ "quit" })).status })
  end)

  it("is left at the second Ctrl-C where the guest does not come to stand, with 130", function()
    local result = run { guest = guest, stdin = "continue\n", "repl", "-e",
      "lunette.on('leaf', function() while true do print('busy') for _ = 1, 1000000 do end end end)", "app.wasm",
      on_stderr = function(text, kill) if text:find("busy", 1, true) then kill("sigint") end end }
    assert.equal(130, result.status)
  end)

  it("lets the guest go on at the end of its input", function()
    local said, result = dialogue({ "breakpoint leaf" })
    assert.same({ "breakpoint 1: 1 function\nthe guest has ended with status 3\n", 3 }, { said, result.status })
  end)

  it("serves a module without _start, too", function()
    local result = run { guest = "(module (func (export \"f\") (param i32) (result i32) (local.get 0)))", "repl", "app.wasm",
      stdin = "guest:invoke('f', 5)\nbreakpoint f\nguest:invoke('f', 6)\nquit\n" }
    assert.same({ welcome .. "5\nbreakpoint 1: 1 function\n6\n", 0 }, { result.stderr, result.status })
  end)

  it("helps", function()
    local said = dialogue({ "help", "help mem", "help on", "help stpe", "quit" })
    assert.is_truthy(said:find("  advance WHERE", 1, true))
    assert.is_truthy(said:find("\nmem ADDR [N] [TYPE]\n    N bytes of memory", 1, true))
    assert.is_truthy(said:find("lunette.on(where, listener", 1, true))
    assert.is_truthy(said:find('there is no help on "stpe"', 1, true))
  end)

  it("tells bad words of a command in one sentence each", function()
    local said = dialogue({ "mem", "mem 16 1 u23", "up two", "delete 9", "unload x", "advance", "trace maybe",
      "breakpoint leaf n >", "quit" })
    assert.equal([[
mem wants more: mem ADDR [N] [TYPE]
mem: no such type: u23; did you mean u32?
up must be a whole number, not "two"
there is no breakpoint 9
unload: no script "x" is loaded
advance wants more: advance WHERE
trace on, or trace off
breakpoint: condition n >: unexpected symbol near <eof>
]], said)
  end)
end)

describe("lunette.pause", function()
  local script = 'lunette.on("leaf", function(call, n) if n == 100 then lunette.pause() end end)'

  it("stops inside a listener, in repl", function()
    local said = dialogue({ "continue", "call.name, call:param(1)", "bt 1", "quit" }, { "-e", script })
    assert.equal('paused in leaf\n"leaf"  100\n*#0  leaf(n=100) 0x8b\n  and 2 more\n', said)
  end)

  it("needs a terminal in run", function()
    local result = run { guest = guest, "run", "-e", script, "app.wasm" }
    if result.stderr:find("there is no terminal to ask at", 1, true) then
      assert.equal(3, result.status) -- the listener is muted, the guest unharmed
    else
      pending("this process has a terminal")
    end
  end)
end)

-- A dialogue of spec/c/pty.c with the command on a terminal.
local function on_terminal(lines, module, ...)
  local folder <close> = files.temporary()
  files.write(folder .. "/app.wasm", wat(module))
  local result = command.run(command.build .. "/spec/pty", { command.lunette, ... }, {
    stdin = table.concat(lines, "\n") .. "\n", cwd = folder.path, timeout = 120,
    env = { XDG_STATE_HOME = folder.path, LC_ALL = "C.UTF-8" },
  })
  assert(result.stderr == "", result.stderr .. result.stdout)
  local path = folder .. "/lunette/history"
  return result, files.exists(path) and files.read(path) or ""
end

describe("on a terminal the prompt", function()
  it("completes commands, fields and functions", function()
    local result = on_terminal({
      "expect lunette> ", "send breakp\\t", "expect breakpoint", 'send  "lea\\t', "expect leaf", "send \"\\n",
      "expect breakpoint 1: 1 function", "send cont\\t\\n", "expect breakpoint 1: leaf(n=1)",
      "send guest.memory:hexd\\t", "expect hexdump", "send (16, 5)\\n", "expect |hello|", "send quit\\n", "eof",
    }, guest, "repl", "app.wasm")
    assert.equal(0, result.status)
  end)

  it("gives a line up at Ctrl-C, and keeps a history", function()
    local result, history = on_terminal({
      "expect lunette> ", "send 40 + ", "expect 40 + ", "interrupt", "expect lunette> ", "send 1 + 2\\n", "expect 3",
      "expect lunette> ", "send quit\\n", "eof",
    }, guest, "repl", "app.wasm")
    assert.equal(0, result.status)
    assert.equal("_HiStOrY_V2_\n1\\040+\\0402\nquit\n", history)
  end)

  it("comes back at Ctrl-C, also in a loop without calls", function()
    local endless = [[(module (global (export "turns") (mut i32) (i32.const 0))
      (func $spin (param $n i32) (loop $again (global.set 0 (i32.add (global.get 0) (local.get $n))) (br $again)))
      (func (export "_start") (call $spin (i32.const 1))))]]
    local result = on_terminal({
      "expect lunette> ", "send continue\\n", "expect spinning", "interrupt", "expect paused in spin", "expect lunette> ",
      "send bt\\n", "expect spin(n=1)", "expect _start()", "send call.definition.name, call.id\\n", "expect \"spin\"  nil",
      "send quit\\n", "eof",
    }, endless, "repl", "-e", "lunette.on('spin', function() print('spinning') end)", "app.wasm")
    assert.equal(0, result.status)
  end)

  it("goes on over lines with a prompt of its own", function()
    local result = on_terminal({
      "expect lunette> ", "send {1,\\n", "expect ... ", "send 2}\\n", "expect { 1, 2 }", "expect lunette> ",
      "send quit\\n", "eof",
    }, guest, "repl", "app.wasm")
    assert.equal(0, result.status)
  end)

  it("comes up in run, too, when a script pauses", function()
    local result = on_terminal({
      "expect paused in leaf", "expect lunette> ", "send call.depth\\n", "expect 2", "send continue\\n", "eof",
    }, guest, "run", "-e",
      'lunette.on("leaf", function(call, n) if n == 100 and not done then done = true lunette.pause() end end)',
      "app.wasm")
    assert.equal(3, result.status)
  end)
end)
