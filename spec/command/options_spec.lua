-- SPDX-License-Identifier: MIT
-- The command line: commands, options, their values, and what is said when something is wrong with them.

local run = require("spec.support.run")

local hello = [[(module
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\08\00\00\00\06\00\00\00hello\0a")
  (func (export "_start") (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 100)))))]]

local function fails(name, args, status, stderr)
  it(name, function()
    args.guest = hello
    local result = run(args)
    assert.equal(stderr, result.stderr)
    assert.equal("", result.stdout)
    assert.equal(status, result.status)
  end)
end

describe("the command", function()
  fails("names the nearest command", { "rum" }, 64, 'lunette: unknown command "rum"\nhint: did you mean lunette run?\n')
  fails("says where commands are named", { "frobnicate" }, 64,
    'lunette: unknown command "frobnicate"\nhint: lunette help names the commands\n')
  fails("knows what a file in place of a command means", { "app.wasm" }, 64,
    'lunette: unknown command "app.wasm"\nhint: lunette run app.wasm runs it\n')
  fails("has no options of its own but --help and --version", { "--verbose" }, 64,
    "lunette: unknown option --verbose\nhint: lunette help names the commands\n")
  fails("needs a file to run", { "run" }, 64,
    "lunette: run needs a WebAssembly file\nhint: lunette run [options] APP.wasm [ARGS...]\n")
  fails("needs a file to list", { "list" }, 64,
    "lunette: list needs a WebAssembly file\nhint: lunette list [options] APP.wasm\n")
  fails("lists one file", { "list", "app.wasm", "more" }, 64,
    'lunette: list takes one argument; "more" is too much\nhint: options stand before arguments\n')
  fails("takes no arguments where there is nothing to give", { "version", "1" }, 64,
    'lunette: version takes no arguments; "1" is too much\nhint: options stand before arguments\n')

  it("alone shows how it is used, with status 64", function()
    local result = run {}
    assert.equal(64, result.status)
    assert.equal("", result.stdout)
    assert.equal("usage: lunette COMMAND [options] [ARGS...]", result.stderr:match("^[^\n]*"))
    for _, name in ipairs({ "run", "list", "scripts", "help", "version" }) do
      assert.is_truthy(result.stderr:find("\n  " .. name .. " ", 1, true), name)
    end
  end)

  it("shows the same for --help and help, on stdout", function()
    local usage = run({}).stderr
    for _, word in ipairs({ "--help", "help" }) do
      local result = run { word }
      assert.equal(usage, result.stdout)
      assert.equal("", result.stderr)
      assert.equal(0, result.status)
    end
  end)

  it("tells the versions", function()
    for _, word in ipairs({ "--version", "version" }) do
      local result = run { word }
      assert.is_truthy(result.stdout:match("^lunette %d+%.%d+%.%d+\nLua 5%.4%.%d+\nlibuv 1%.%d+%.%d+\n$"), result.stdout)
      assert.equal(0, result.status)
    end
  end)
end)

describe("an unknown option", function()
  fails("names the nearest", { "run", "--srcipt", "x", "app.wasm" }, 64,
    "lunette: unknown option --srcipt\nhint: did you mean --script?\n")
  fails("may carry a value", { "run", "--outptu=x", "app.wasm" }, 64,
    "lunette: unknown option --outptu\nhint: did you mean --output?\n")
  fails("is what an abbreviation is", { "run", "--stri", "app.wasm" }, 64,
    "lunette: unknown option --stri\nhint: did you mean --strict?\n")
  fails("may be near none", { "run", "--frobnicate", "app.wasm" }, 64,
    "lunette: unknown option --frobnicate\nhint: lunette help run lists the options\n")
  fails("may be a letter", { "run", "-x", "app.wasm" }, 64,
    "lunette: unknown option -x\nhint: lunette help run lists the options\n")
  fails("may stand behind a known letter", { "run", "-qx", "app.wasm" }, 64,
    "lunette: unknown option -x\nhint: lunette help run lists the options\n")
  fails("is what another command's option is", { "list", "--dir", ".", "app.wasm" }, 64,
    "lunette: unknown option --dir\nhint: lunette help list lists the options\n")
  for _, option in ipairs({ "format", "tape", "tier" }) do
    it("is --" .. option .. ", which is not there", function()
      local result = run { "run", "--" .. option, "app.wasm" }
      assert.equal(64, result.status)
      assert.equal("lunette: unknown option --" .. option, result.stderr:match("^[^\n]*"))
      assert.is_nil(run({ "help", "run" }).stdout:find("--" .. option .. "%f[^%w-]"))
    end)
  end
end)

describe("a value", function()
  fails("may be missing", { "run", "--script" }, 64,
    "lunette: --script needs a value\nhint: it looks like this: --script NAME|FILE[,OPTION=VALUE...]\n")
  fails("may be missing behind a letter", { "run", "-s" }, 64,
    "lunette: -s needs a value\nhint: it looks like this: --script NAME|FILE[,OPTION=VALUE...]\n")
  fails("may be too much", { "run", "--strict=yes", "app.wasm" }, 64, "lunette: --strict takes no value\n")
  for _, text in ipairs({ "3", "0s", "ms", "-1s", "1.5e3s", "3 s", "", "1h30m", "99999999999h" }) do
    fails(("of --timeout may be no duration: %q"):format(text), { "run", "--timeout", text, "app.wasm" }, 64,
      ('lunette: bad value for --timeout: "%s"\n'):format(text)
        .. "hint: it is a number above 0 with its unit: 500us, 3ms, 2s, 1m\n")
  end
  for _, text in ipairs({
    "", "::", "::guest", "host::", ":ro", "host:::ro", "host:r", "host::guest:wr", "host:", "a::b:c:ro",
  }) do
    fails(("of --dir may be no folder: %q"):format(text), { "run", "--dir", text, "app.wasm" }, 64,
      ('lunette: bad value for --dir: "%s"\n'):format(text)
        .. "hint: it looks like this: --dir HOST[::GUEST][:ro|rw], say --dir data::/data:ro\n")
  end
  for _, text in ipairs({ "", "NAME", "=value" }) do
    fails(("of --env may be no variable: %q"):format(text), { "run", "--env", text, "app.wasm" }, 64,
      ('lunette: bad value for --env: "%s"\nhint: it looks like this: --env NAME=VALUE\n'):format(text))
  end
  for _, text in ipairs({
    "", "80", "host:", "host:http", "host:65536", ":-1", "::1:80", "[::1]80", "[::1:80", "[]:80", ":123456",
  }) do
    fails(("of --listen-tcp may be no address: %q"):format(text), { "run", "--listen-tcp", text, "app.wasm" }, 64,
      ('lunette: address "%s": it looks like this: HOST:PORT, [::1]:PORT or :PORT\n'):format(text))
  end
  for _, args in ipairs({ { "run", "-w", "a[" }, { "list", "-w", "a[" }, { "run", "-s", "calltree", "-w", "a[" },
                          { "check", "-s", "count", "-w", "a[" } }) do
    args[#args + 1] = "app.wasm"
    fails("of --where may be malformed: " .. table.concat(args, " "), args, 64,
      'lunette: where "a[", character 2: this [ has no ]\n')
  end
  fails("of --color may be no such thing", { "run", "--color", "red", "app.wasm" }, 64,
    'lunette: bad value for --color: "red"\nhint: it is auto, always or never\n')
  fails("of --output may be empty", { "run", "-o", "", "app.wasm" }, 64,
    'lunette: bad value for --output: ""\nhint: it is a file, or - for stdout\n')
  fails("of --script may be empty", { "run", "-s", ",depth=3", "app.wasm" }, 64,
    'lunette: bad value for --script: ",depth=3"\n'
      .. "hint: it is the name of a script or a file: lunette scripts names those that come along\n")
end)

describe("options", function()
  it("may be written --name=value, -sNAME, and end with --", function()
    for _, args in ipairs({
      { "run", "--script=count", "--", "app.wasm" },
      { "run", "-scount", "app.wasm" },
      { "run", "-qs", "count", "app.wasm" },
    }) do
      args.guest = hello
      local result = run(args)
      assert.equal("hello\n", result.stdout)
      assert.is_truthy(result.stderr:find("function", 1, true))
      assert.equal(0, result.status)
    end
  end)

  it("that come after the file are the guest's", function()
    local result = run { guest = hello, "run", "app.wasm", "--script", "-s", "--nonsense" }
    assert.equal("hello\n", result.stdout)
    assert.equal("", result.stderr)
    assert.equal(0, result.status)
  end)

  it("are all in the help of their command", function()
    local text = run({ "help", "run" }).stdout
    assert.equal(text, run({ "run", "--help" }).stdout)
    for _, name in ipairs({
      "script", "eval", "where", "output", "dir", "env", "inherit-env", "listen-tcp", "stdin", "argv0", "invoke",
      "deterministic", "stub-imports", "timeout", "strict", "quiet", "color", "help",
    }) do
      assert.is_truthy(text:find("--" .. name, 1, true), name)
    end
    for line in text:gmatch("[^\n]+") do
      assert.is_true(#line <= 110, line)
      assert.is_nil(line:find(" $"), line)
    end
  end)

  it("that are for a trace get a hint where there is none", function()
    local result = run { guest = hello, "run", "-w", "f", "app.wasm" }
    assert.equal("hint: --where and --output are for a trace; -s or -e says which: -s calltree, say\n", result.stderr)
    assert.equal("", run({ guest = hello, "run", "-q", "-w", "f", "app.wasm" }).stderr)
  end)
end)

describe("colour", function()
  it("is used where it is asked for, and never in a file or pipe by itself", function()
    assert.is_nil(run({ "run", "missing.wasm" }).stderr:find("\27", 1, true))
    assert.is_truthy(run({ "run", "--color", "always", "missing.wasm" }).stderr:find("^\27%[1;31mlunette:\27%[0m "))
    assert.is_nil(run({ "run", "--color", "never", "missing.wasm" }).stderr:find("\27", 1, true))
  end)
end)
