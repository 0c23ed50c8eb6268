-- SPDX-License-Identifier: MIT
-- The examples do what their README says.

local command = require("spec.support.command")
local environment = require("spec.support.lua")
local files = require("spec.support.files")
local native = require("spec.support.native")

local folder = command.build .. "/examples/"
if not files.exists(folder .. "sort.wasm") then
  it("the examples", function() pending("clang for wasm32-wasi was not here when they were built") end)
  return
end

-- Runs a guest with its script; the trace goes to a file, so that each stream can be looked at alone.
local function traced(name, ...)
  local directory <close> = files.temporary()
  local out = directory .. "/trace"
  local result = command("run", "-s", "examples/" .. name .. ".lua", "-o", out, folder .. name .. ".wasm", ...)
  result.trace = files.read(out)
  return result
end

describe("the sort", function()
  it("sorts, and its script counts the work", function()
    local result = traced("sort", "5", "2", "8", "1")
    assert.equal("1 2 5 8\n", result.stdout)
    assert.equal("", result.stderr)
    assert.equal(0, result.status)
    assert.equal("4 comparisons, 6 swaps\n3 calls of sort_range deep, first for 2..2\n", result.trace)
  end)
end)

describe("the spec of the sort's script", function()
  it("passes, and fails where the script is another", function()
    local function tests_of(path)
      return command.run("lua5.4", { "/usr/bin/busted", "-o", "TAP", path }, { env = environment({ LUNETTE_COUNTS = false }) })
    end
    local result = tests_of("examples/sort_spec.lua")
    assert.equal(0, result.status, result.stdout .. result.stderr)
    assert.equal(2, select(2, result.stdout:gsub("\nok %d", "")) + (result.stdout:find("^ok 1") and 1 or 0), result.stdout)
    local directory <close> = files.temporary()
    files.copy("examples/sort_spec.lua", directory .. "/sort_spec.lua")
    files.write(directory .. "/sort.lua", (files.read("examples/sort.lua"):gsub("swaps %+ 1", "swaps + 2")))
    result = tests_of(directory .. "/sort_spec.lua")
    assert.is_true(result.status ~= 0)
    assert.is_truthy(result.stdout:find("2 comparisons, 2 swaps", 1, true), result.stdout)
  end)
end)

describe("the calculator", function()
  it("works out an expression, and its script shows the parts", function()
    local result = traced("calculator", "2 * (3 + 4)")
    assert.equal("14\n", result.stdout)
    assert.equal(0, result.status)
    assert.equal([[
sum = 14
  product = 14
    factor = 2
      number = 2
    factor = 7
      sum = 7
        product = 3
          factor = 3
            number = 3
        product = 4
          factor = 4
            number = 4
]], result.trace)
  end)

  it("says where it could not go on, and the parts have no value", function()
    local result = traced("calculator", "1 +")
    assert.equal("", result.stdout)
    assert.equal("calculator: number expected at ''\n", result.stderr)
    assert.equal(2, result.status)
    assert.equal([[
sum = (exit)
  product = 1
    factor = 1
      number = 1
  product = (exit)
    factor = (exit)
      number = (exit)
]], result.trace)
  end)
end)

describe("the average", function()
  it("traps on an empty group, and its script tells who asked for it", function()
    local result = traced("average", "1", "2", "/", "/", "3")
    assert.equal("group 1: 1\n", result.stdout)
    assert.equal(134, result.status)
    assert.is_truthy(result.stderr:match("integer divide by zero"))
    local lines = {}
    for line in result.trace:gmatch("[^\n]+") do lines[#lines + 1] = line:gsub(", 0x%x+$", "") end
    assert.equal("trap: integer divide by zero", lines[1])
    assert.equal("  in average", lines[2])
    assert.equal("  in print_group", lines[3])
    assert.equal("  in main", lines[4])
    assert.is_truthy(result.trace:match("\naverage was called with %(%d+, 0%)\n"))
    assert.is_truthy(result.trace:match("\nprint_group was called with %(%d+, 0, 2%)\n$"))
  end)
end)

describe("listener", function()
  it("shows calls with values, nested, and who made the outermost", function()
    local result = command.run(folder .. "listener", { "parse_*", folder .. "calculator.wasm", "2*3" })
    assert.same({ 0, "6\n" }, { result.status, result.stdout })
    assert.equal([[
listening to 4 functions
in main:
parse_sum()
  parse_product()
    parse_factor()
      parse_number()
        = 2
      = 2
    parse_factor()
      parse_number()
        = 3
      = 3
    = 6
  = 6
6 calls, 0 failed
]], result.stderr)
  end)

  it("shows where a failure was, once", function()
    local result = command.run(folder .. "listener", { "*average", folder .. "average.wasm", "/" })
    assert.equal(134, result.status)
    assert.is_truthy(result.stderr:find("\n  ! trap: integer divide by zero\n    at average 0x%x+\n    at print_group 0x"))
    assert.is_truthy(result.stderr:find("\nlistener: trap: integer divide by zero\n1 calls, 1 failed\n$"))
  end)

  it("refuses a pattern that is none", function()
    local result = command.run(folder .. "listener", { "[", folder .. "average.wasm" })
    assert.same({ 64, "" }, { result.status, result.stdout })
    assert.is_truthy(result.stderr:find("^listener: usage: "))
  end)
end)

describe("the programs in C", function()
  it("give back all that they take, whatever the end", function()
    if command.sanitized then return pending("valgrind does not go with sanitizers") end
    if not native.find("valgrind") then return pending("valgrind is not here") end
    local function check(...)
      local result = command.run("valgrind", { "-q", "--leak-check=full", "--error-exitcode=99", ... })
      assert.is_nil(result.stderr:match("==%d+== [^\n]*"), result.stderr)
      return result.status
    end
    assert.equal(0, check(folder .. "embed", folder .. "sort.wasm", "2", "1"))
    assert.equal(134, check(folder .. "embed", folder .. "average.wasm"))
    assert.equal(65, check(folder .. "embed", "README.md"))
    assert.equal(0, check(folder .. "listener", "parse_*", folder .. "calculator.wasm", "2*3"))
    assert.equal(134, check(folder .. "listener", "*average", folder .. "average.wasm", "/"))
    assert.equal(65, check(folder .. "listener", "*", "README.md"))
  end)
end)

describe("embed", function()
  it("runs a guest from C and counts its calls with a listener in C", function()
    local result = command.run(folder .. "embed", { folder .. "sort.wasm", "5", "2", "8", "1" })
    assert.equal("1 2 5 8\n", result.stdout)
    assert.equal(0, result.status)
    assert.is_truthy(result.stderr:match("\n +6 swap\n"))
    assert.is_truthy(result.stderr:match("\n +4 compare\n"))
  end)

  it("hands on how the guest ended", function()
    local trapped = command.run(folder .. "embed", { folder .. "average.wasm" })
    assert.equal(134, trapped.status)
    assert.is_truthy(trapped.stderr:match("embed: trap: integer divide by zero"))
    local exited = command.run(folder .. "embed", { folder .. "calculator.wasm" })
    assert.equal(1, exited.status)
    assert.is_truthy(exited.stderr:match("^usage: calculator EXPRESSION\n"))
  end)
end)
