-- SPDX-License-Identifier: MIT
-- Scripts on the command line: how they are named, what they are given, and what is said when one is wrong.

local run = require("spec.support.run")

local guest = [[(module
  (func $leaf (param $x i32) (result i32) (local.get $x))
  (func (export "_start") (drop (call $leaf (i32.const 7))) (drop (call $leaf (i32.const 8)))))]]

local function says(spec, stderr, status)
  spec.guest = spec.guest or guest
  local result = run(spec)
  assert.equal(stderr, result.stderr)
  assert.equal("", result.stdout)
  assert.equal(status or 0, result.status)
end

describe("a script", function()
  it("is a file, named by its path", function()
    says({ files = { ["x.lua"] = 'print("x")' }, "run", "-s", "x.lua", "app.wasm" }, "x\n")
    says({ files = { ["x"] = 'print("x")' }, "run", "-s", "./x", "app.wasm" }, "x\n")
    says({ files = { ["d/x.lua"] = 'print("x")' }, "run", "-s", "d/x.lua", "app.wasm" }, "x\n")
  end)

  it("is code, too", function()
    says({ "run", "-e", 'lunette.on("leaf", function(call, x) print(call.name, x) end)', "app.wasm" }, "leaf\t7\nleaf\t8\n")
  end)

  it("is one of several, told in the order given", function()
    says({
      files = { ["a.lua"] = 'lunette.on("leaf", function() print("a") end)' },
      "run", "-e", 'lunette.on("leaf", function() print("first") end)', "-s", "a.lua", "-w", "_start", "-s", "count",
      "app.wasm",
    }, "first\na\nfirst\na\ncalls  function\n    1  _start\n    1  in 1 function\n")
  end)

  it("gets its options, by the type of their defaults", function()
    local script = [[
      local o = lunette.options { n = { default = 1, help = "a number" }, s = { default = "x" }, b = { default = false } }
      print(math.type(o.n), o.n, o.s, o.b)
    ]]
    says({ files = { ["x.lua"] = script }, "run", "-s", "x.lua", "app.wasm" }, "integer\t1\tx\tfalse\n")
    says({ files = { ["x.lua"] = script }, "run", "-s", "x.lua,n=5,s=a=b\\,c,b=true", "app.wasm" }, "integer\t5\ta=b,c\ttrue\n")
  end)

  it("gets each option once", function()
    says({ files = { ["x.lua"] = "lunette.options({ a = 1 })" }, "run", "-s", "x.lua,a=1,a=2", "app.wasm" },
      "lunette: x.lua: option a is given twice\n", 64)
  end)

  it("that cannot read a module fails with its own place", function()
    local result = run({ files = { ["x.lua"] = "\nlocal m = lunette.module('x')" }, guest = guest,
      "run", "-s", "x.lua", "app.wasm" })
    assert.equal(101, result.status)
    assert.is_truthy(result.stderr:find("x.lua:2: malformed: ", 1, true), result.stderr)
  end)

  it("sees the guest, and -w as lunette.where", function()
    says({ "run", "-e", "lunette.at_exit(function() print(lunette.guest:invoke('f')) end)", "app.wasm",
      guest = '(module (func (export "f") (result i32) (i32.const 42)) (func (export "_start")))' }, "42\n")
    local code = "lunette.on(lunette.where, function(call) print(call.name) end)"
    says({ "run", "-w", "leaf", "-e", code, "app.wasm" }, "leaf\nleaf\n")
  end)

  it("may offer host functions to the guest", function()
    local code = [[lunette.host("env", { twice = { params = {"i32"}, results = {"i32"}, function(_, x) return 2 * x end } })]]
    says({
      "run", "-e", code, "-s", "calltree", "app.wasm",
      guest = [[(module (import "env" "twice" (func $twice (param i32) (result i32)))
        (func (export "_start") (drop (call $twice (i32.const 21)))))]],
    }, "_start() {\n  twice(21) = 42\n}\n")
  end)

  it("ends the run with lunette.stop", function()
    says({ "run", "-e", "lunette.on('leaf', function() lunette.stop(7) end)", "app.wasm" }, "", 7)
  end)
end)

describe("a wrong script", function()
  local function fails(name, spec, stderr, status)
    it(name, function() says(spec, stderr, status or 101) end)
  end

  fails("may not be there", { "run", "-s", "missing.lua", "app.wasm" },
    "lunette: cannot read the script missing.lua: No such file or directory\n")
  fails("may be near one that comes along", { "run", "-s", "calltre", "app.wasm" },
    'lunette: there is no script "calltre"\nhint: did you mean calltree?\n')
  fails("may be near none", { "run", "-s", "frobnicate", "app.wasm" }, 'lunette: there is no script "frobnicate"\n'
    .. "hint: lunette scripts names those that come along; a file's name ends in .lua or holds a /\n")
  fails("may be a file without its ending", { files = { ["x.lua"] = "" }, "run", "-s", "x", "app.wasm" },
    'lunette: there is no script "x"\nhint: there is a file of that name: -s x.lua\n')
  fails("may have a syntax error", { files = { ["x.lua"] = "local x = = 1" }, "run", "-s", "x.lua", "app.wasm" },
    "lunette: x.lua:1: unexpected symbol near '='\n")
  fails("may be code with a syntax error", { "run", "-e", "x = = 1", "app.wasm" },
    "lunette: -e:1: unexpected symbol near '='\n")
  fails("may be compiled", { files = { ["x.lua"] = string.dump(load("x = 1")) }, "run", "-s", "x.lua", "app.wasm" },
    "lunette: x.lua: a compiled script; only Lua text is taken\n")
  fails("may raise an error while it loads", { files = { ["x.lua"] = "local x\nx.y = 1" }, "run", "-s", "x.lua", "app.wasm" },
    "lunette: x.lua:2: attempt to index a nil value (local 'x')\n")
  fails("may raise it in a function of its own: then there is a traceback",
    { files = { ["x.lua"] = "local function f() error('no') end\nlocal x = f() or 1" }, "run", "-s", "x.lua", "app.wasm" },
    "lunette: x.lua:1: no\n  stack traceback:\n    x.lua:1: in local 'f'\n    x.lua:2: in main chunk\n")
  fails("may misspell a function", { "run", "-e", "lunette.onn('leaf', print)", "app.wasm" },
    "lunette: -e:1: lunette.onn: no such field; did you mean 'on'?\n")
  fails("may misspell a callback", { "run", "-e", "lunette.on('leaf', { befor = print })", "app.wasm" },
    "lunette: -e:1: a listener has no 'befor'; did you mean 'before'?\n")
  fails("may give a number for a listener", { "run", "-e", "lunette.on('leaf', 3)", "app.wasm" },
    "lunette: -e:1: a listener (a function, an aggregation, or a table with before, after, abort) expected, "
      .. "got number\n")
  fails("may give a where that is none", { "run", "-e", "lunette.on('import:', print)", "app.wasm" },
    'lunette: -e:1: where "import:", character 8: a name or a glob is missing\n')
  fails("may be given an option that it does not have", { "run", "-s", "calltree,dpeth=3", "app.wasm" },
    "lunette: calltree: no such option: dpeth; did you mean depth?\n")
  fails("may be given an option though it has none", { files = { ["x.lua"] = "" }, "run", "-s", "x.lua,a=1", "app.wasm" },
    "lunette: x.lua: no such option: a\n")
  fails("may be given an option of the wrong type", { "run", "-s", "calltree,depth=deep", "app.wasm" },
    'lunette: calltree: option depth must be a whole number, got "deep"\n')
  fails("may be given something that is no option", { "run", "-s", "calltree,depth", "app.wasm" },
    'lunette: calltree: "depth" is no option; options look like this: calltree,name=value\n', 64)

  it("does not keep the guest from ending well when a listener fails: that is told once, with a traceback", function()
    says({
      files = { ["x.lua"] = 'lunette.on("leaf", function(call)\n  local x = call.nmae .. "!"\nend)' },
      "run", "-s", "x.lua", "app.wasm",
    }, [[
lunette: x.lua:2: call.nmae: no such field; did you mean 'name'?
  stack traceback:
    [C]: in metamethod 'index'
    x.lua:2: in function <x.lua:1>
]])
  end)

  it("ends the run under --strict when a listener fails, with status 102", function()
    local result = run {
      guest = guest, "run", "--strict", "-s", "calltree", "-e", "lunette.on('leaf', function() error('no') end)", "app.wasm",
    }
    assert.equal(102, result.status)
    assert.is_truthy(result.stderr:find("\nlunette: listener: -e:1: no\n  at leaf(x=7) (app) 0x29\n", 1, true), result.stderr)
    assert.is_truthy(result.stderr:find("\n  leaf(x=7) ! listener: -e:1: no\n} ! listener\n", 1, true), result.stderr)
  end)

  for name, code in pairs({
    ["in at_exit"] = "lunette.at_exit(function() lunette.stop(7) end)",
    ["in a timer that lingers"] = [[lunette.linger(1 << 40)
      lunette.at_exit(function() lunette.delay(1, function() lunette.stop(7) end) end)]],
    ["where it follows another"] = [[lunette.at_exit(function() lunette.stop(7) end)
      lunette.at_exit(function() lunette.stop(3) end)]],
    ["and ends what lingers"] = [[lunette.linger(1 << 40) lunette.every(1000, print)
      lunette.at_exit(function() lunette.stop(7) end)]],
    ["as the guest's status is, modulo 256"] = "lunette.at_exit(function() lunette.stop(7 + 256) end)",
  }) do
    it("gives the run's status by lunette.stop after the guest's end, " .. name, function()
      local result = run { guest = guest, "run", "-e", code, "app.wasm" }
      assert.same({ 7, "" }, { result.status, result.stderr })
    end)
  end

  it("makes a success of a guest's status by lunette.stop(0) after its end, but not of a trap's", function()
    local code = "lunette.at_exit(function() lunette.stop() end)"
    local exits = [[(module (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
      (memory (export "memory") 1) (func (export "_start") (call $exit (i32.const 5))))]]
    assert.equal(0, run({ guest = exits, "run", "-e", code, "app.wasm" }).status)
    local traps = '(module (func (export "_start") unreachable))'
    assert.equal(134, run({ guest = traps, "run", "-e", code, "app.wasm" }).status)
    local result = run { guest = guest, "run", "-e", "lunette.at_exit(function() lunette.stop(1 << 40) end)", "app.wasm" }
    assert.is_truthy(result.stderr:find("-e:1: stop: a status is a 32-bit integer", 1, true), result.stderr)
  end)

  for what, code in pairs({
    ["a factory"] = 'lunette.factory(function() error("no") end)',
    ["a where that is a function"] = 'lunette.on(function() error("no") end, print)',
    ["on_error"] = 'lunette.on("leaf", error, { on_error = function() error("no") end })',
    ["on_instance"] = 'lunette.on_instance(function() error("no") end)',
  }) do
    it(("ends the run under --strict when %s fails, with status 102"):format(what), function()
      local result = run { guest = guest, "run", "--strict", "-e", code, "app.wasm" }
      assert.equal(102, result.status, result.stderr)
      assert.is_truthy(result.stderr:find("lunette: listener: -e:1: no", 1, true), result.stderr)
      assert.equal(0, run({ guest = guest, "run", "-e", code, "app.wasm" }).status)
    end)
  end

  it("may fail at the end: that is told, and minded under --strict", function()
    local code = "lunette.at_exit(function() error('late') end)"
    local result = run { guest = guest, "run", "-e", code, "app.wasm" }
    assert.equal("lunette: -e:1: late", result.stderr:match("^[^\n]*"))
    assert.equal(0, result.status)
    assert.equal(102, run({ guest = guest, "run", "--strict", "-e", code, "app.wasm" }).status)
  end)

  it("may listen where nothing is: that is told with the nearest name, and the run goes on", function()
    local code = "lunette.on('leef', print) print(1)"
    says({ "run", "-e", code, "app.wasm" }, '1\nlunette: -e: where "leef" matches no function\nhint: did you mean leaf?\n')
    says({ "run", "-q", "-e", code, "app.wasm" }, "1\n")
  end)

  it("may not listen where nothing is under --strict: status 102, and the guest does not run", function()
    says({ "run", "--strict", "-w", "leef", "-s", "calltree", "app.wasm" },
      'lunette: calltree: where "leef" matches no function\nhint: did you mean leaf?\n', 102)
  end)
end)
