-- SPDX-License-Identifier: MIT
-- Exceptions as the command shows them, and in a program that clang compiled from C++.

local command = require("spec.support.command")
local files = require("spec.support.files")
local run = require("spec.support.run")

local guest = [[
  (module $m
    (import "host" "refused" (tag $refused (param i32)))
    (import "host" "open" (func $open (param i32)))
    (tag $lost (export "lost") (param i32 f64))
    (func $inner (throw $lost (i32.const -3) (f64.const 0.5)))
    (func $caught (try (do (call $inner)) (catch $lost drop drop)))
    (func $main (call $caught) (try (do (call $open (i32.const 1))) (catch $refused drop)) (call $inner))
    (func (export "_start") (call $main)))]]

local host = [[
  local refused = lunette.tag{ params = { "i32" } }
  lunette.host("host", { refused = refused, open = { params = { "i32" }, function(_, n) error(refused:exception(n)) end } })
]]

describe("an exception that nobody catches", function()
  it("ends the command with 134; the message says which, then the stack", function()
    local result = run { guest = guest, files = { ["host.lua"] = host }, "run", "-s", "host.lua", "app.wasm" }
    assert.equal("", result.stdout)
    assert.equal([[
lunette: exception: lost(-3, 0.5) was not caught
  at inner (m) 0x65
  at main (m) 0x82
  at _start (m) 0x87
]], result.stderr)
    assert.equal(134, result.status)
  end)

  it("is told in a trace beside those that are caught", function()
    local result = run { guest = guest, files = { ["host.lua"] = host },
      "run", "-s", "host.lua", "-s", "calltree", "-o", "trace", keep = { "trace" }, "app.wasm" }
    assert.equal([[
_start() {
  main() {
    caught() {
      inner() ! exception: lost(-3, 0.5)
    }
    open(1) ! exception: tag(1)
    inner() ! exception: lost(-3, 0.5) was not caught
  } ! exception
} ! exception
]], (result.files.trace:gsub("host%.open", "open")))
  end)
end)

describe("lunette list", function()
  it("shows tags among imports and exports", function()
    local text = '(module (import "m" "t" (tag (param i32 f64))) (tag (export "none")) (func (export "f")))'
    local result = run { guest = text, "list", "app.wasm" }
    assert.is_truthy(result.stdout:find("imports\n  m.t  tag (i32 f64)\n", 1, true), result.stdout)
    assert.is_truthy(result.stdout:find("none  tag ()\n", 1, true), result.stdout)
  end)
end)

-- What libc++abi would bring, as small as it can be: every catch takes everything.
local runtime = [[
extern "C" {
int printf(const char *, ...);
int fflush(void *);
void *malloc(unsigned long);
[[noreturn]\] void abort();
char _ZTIi;
void *__cxa_allocate_exception(unsigned long size) noexcept { return malloc(size); }
[[noreturn, gnu::noinline]\] void __cxa_throw(void *object, void *, void (*)(void *)) { __builtin_wasm_throw(0, object); }
void *__cxa_begin_catch(void *object) noexcept { return object; }
void __cxa_end_catch() {}
int __gxx_wasm_personality_v0(...) { return 0; }
int _Unwind_CallPersonality(void *) { return 0; }
struct { int index; void *lsda; int selector; } __wasm_lpad_context;
}
namespace std { [[noreturn]\] void terminate() noexcept { abort(); } }
]]

local program = [[
struct Guard {
  const char *name;
  explicit Guard(const char *n) : name(n) { printf("open %s\n", name); }
  ~Guard() { printf("close %s\n", name); }
};
[[gnu::noinline]\] int divide(int a, int b) {
  Guard guard("divide");
  if (b == 0) throw 42;
  return a / b;
}
[[gnu::noinline]\] int middle(int a, int b) {
  Guard guard("middle");
  return divide(a, b) + 1;
}
int main(int argc, char **) {
  for (int b = 1; b >= 0; b--) {
    try {
      printf("%d\n", middle(10, b));
    } catch (...) {
      printf("caught\n");
    }
  }
  fflush(nullptr);
  if (argc > 1) middle(1, 0);
  return 3;
}
]]

describe("a C++ program", function()
  local folder <close> = files.temporary()
  files.write(folder .. "/app.cpp", ((runtime .. program):gsub("%]\\%]", "]]")))
  local compiled = command.run("clang++-14", { "--target=wasm32-wasi", "-O1", "-fwasm-exceptions", "-nostdlib++",
    folder .. "/app.cpp", "-o", folder .. "/app.wasm" })
  if compiled.status ~= 0 then
    it("throws and catches", function() pending("no clang++ for wasm32-wasi: " .. compiled.stderr) end)
    return
  end
  local bytes = files.read(folder .. "/app.wasm")
  local printed = "open middle\nopen divide\nclose divide\nclose middle\n11\n"
    .. "open middle\nopen divide\nclose divide\nclose middle\ncaught\n"

  it("throws and catches, and its destructors run", function()
    local result = run { files = { ["app.wasm"] = bytes }, "run", "app.wasm" }
    assert.same({ printed, "", 3 }, { result.stdout, result.stderr, result.status })
  end)

  it("does the same while it is traced, also where nobody catches", function()
    local result = run { files = { ["app.wasm"] = bytes }, keep = { "trace" },
      "run", "-s", "calltree", "-w", "divide*", "-w", "middle*", "-o", "trace", "app.wasm", "x" }
    assert.equal(printed, result.stdout:sub(1, #printed))
    assert.equal(134, result.status)
    assert.matches("^lunette: exception: #0%(%d+%) was not caught\n  at middle%(int, int%)", result.stderr)
    assert.equal([[
middle(int, int)(10, 1) {
  divide(int, int)(10, 1) = 10
} = 11
middle(int, int)(10, 0) {
  divide(int, int)(10, 0) ! exception
} ! exception
middle(int, int)(1, 0) {
  divide(int, int)(1, 0) ! exception
} ! exception
]], (result.files.trace:gsub("! exception[^\n]*", "! exception")))
  end)
end)
