-- SPDX-License-Identifier: MIT
-- An installation into an empty prefix serves programs outside the tree: the command, a C program by pkg-config and by
-- CMake's find_package, and a Lua program by require.

local command = require("spec.support.command")
local files = require("spec.support.files")
local wat = require("spec.support.wat")

-- The examples that use only the headers, as they stand.
local examples = { "embed", "listener" }

local lists = [[
cmake_minimum_required(VERSION 3.25)
project(outside LANGUAGES C)
set(CMAKE_C_STANDARD 11)
find_package(lunette 0.1 REQUIRED)
foreach(name embed listener)
  add_executable(${name} ${name}.c)
  target_link_libraries(${name} PRIVATE lunette::lunette)
  add_executable(${name}_static ${name}.c)
  target_link_libraries(${name}_static PRIVATE lunette::lunette_static)
endforeach()
]]

local guest = [[(module
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 1)
  (func $add (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
  (func (export "_start") (call $proc_exit (call $add (i32.const 3) (i32.const 4)))))]]

describe("an installation", function()
  if command.sanitized then
    it("is looked at", function() pending("only without sanitizers: programs outside would need their libraries") end)
    return
  end

  local folder, prefix

  local function run(name, args, options)
    local result = command.run(name, args, options)
    assert.equal(0, result.status, name .. ": " .. result.stdout .. result.stderr)
    return result.stdout
  end

  setup(function()
    folder = files.temporary()
    prefix = folder .. "/prefix"
    run("cmake", { "--install", command.build, "--prefix", prefix })
    files.write(folder .. "/guest.wasm", wat(guest))
  end)

  teardown(function() files.remove(folder.path) end)

  it("has a command that finds its scripts", function()
    assert.is_truthy(run(prefix .. "/bin/lunette", { "scripts" }):match("calltree"))
    assert.is_truthy(run(prefix .. "/bin/lunette", { "version" }):match("0%.1%.0"))
  end)

  it("has the stubs and the reference of the API", function()
    assert.is_truthy(files.read(prefix .. "/share/lunette/library/lunette.d.lua"):find("---@meta lunette", 1, true))
    assert.is_truthy(files.read(prefix .. "/share/doc/lunette/reference.md"):find("# Reference", 1, true))
  end)

  -- What each of the two prints of the guest, and that both hand on its status.
  local function behaves(path, name, env)
    local args = { folder .. "/guest.wasm" }
    if name == "listener" then table.insert(args, 1, "add") end
    local result = command.run(path, args, { env = env })
    assert.equal(7, result.status, result.stderr)
    assert.equal(name == "embed" and "       1 _start\n       1 add\n       1 proc_exit\n"
      or "listening to 1 functions\nin _start:\nadd(3, 4)\n  = 7\n1 calls, 0 failed\n", result.stderr)
  end

  it("serves the examples in C by pkg-config", function()
    local env = { PKG_CONFIG_PATH = prefix .. "/lib/pkgconfig" }
    local flags = run("pkg-config", { "--cflags", "--libs", "lunette" }, { env = env })
    assert.equal("0.1.0\n", run("pkg-config", { "--modversion", "lunette" }, { env = env }))
    for _, name in ipairs(examples) do
      local args = { "-std=c11", "-Wall", "-Wextra", "-Werror", "examples/" .. name .. ".c", "-o", folder .. "/" .. name }
      for flag in flags:gmatch("%S+") do args[#args + 1] = flag end
      run("cc", args)
      behaves(folder .. "/" .. name, name, { LD_LIBRARY_PATH = prefix .. "/lib" })
    end
  end)

  it("serves the examples in C by find_package, shared and static", function()
    local source = folder .. "/outside"
    files.make(source)
    for _, name in ipairs(examples) do files.copy("examples/" .. name .. ".c", source .. "/" .. name .. ".c") end
    files.write(source .. "/CMakeLists.txt", lists)
    run("cmake", { "-S", source, "-B", source .. "/build", "-G", "Ninja", "-DCMAKE_PREFIX_PATH=" .. prefix })
    run("cmake", { "--build", source .. "/build" })
    for _, name in ipairs(examples) do
      behaves(source .. "/build/" .. name, name)
      behaves(source .. "/build/" .. name .. "_static", name)
    end
  end)

  it("has a library with its version, under which programs ask for it", function()
    local result = run("readelf", { "-d", prefix .. "/lib/liblunette.so" })
    assert.is_truthy(result:find("SONAME.*%[liblunette%.so%.0%]"))
    assert.is_true(files.exists(prefix .. "/lib/liblunette.so.0") and files.exists(prefix .. "/lib/liblunette.so.0.1.0"))
  end)

  it("serves a Lua program by require", function()
    local share = prefix .. "/share/lua/5.4/"
    local env = {
      LUA_PATH = share .. "?.lua;" .. share .. "?/init.lua;;",
      LUA_CPATH = prefix .. "/lib/lua/5.4/?.so;;",
    }
    local text = [[
      local lunette = require("lunette")
      local module = lunette.module({ file = "guest.wasm" })
      local instance = lunette.instantiate(module, { wasi = {} })
      lunette.on("add", { after = function(call, sum) print(call.name, sum, #call:stack()) end })
      local good, err = pcall(instance.invoke, instance, "_start")
      print(good, err.kind, err.code)
      local fake <close> = require("lunette").fake({ functions = { "f" } })
      fake:eval('lunette.on("f", function() lunette.out:write("heard") end)')
      fake:call("f")
      print(fake.output)
    ]]
    local printed = run("lua5.4", { "-e", text }, { env = env, cwd = folder.path })
    assert.equal("add\t7\t2\nfalse\texit\t7\nheard\n", printed)
  end)
end)
