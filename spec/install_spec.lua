-- SPDX-License-Identifier: MIT
-- An installation into an empty prefix serves programs outside the tree: the command, a C program by pkg-config and by
-- CMake's find_package, and a Lua program by require.

local command = require("spec.support.command")
local files = require("spec.support.files")

local program = [[
#include <stdio.h>
#include <lunette/lunette.h>
int main(void) {
  lun_store *store;
  lun_writer *writer;
  lun_error error = LUN_ERROR_INIT;
  if (lun_store_create(NULL, &store, &error) != LUN_OK || lun_writer_create(NULL, &writer, &error) != LUN_OK) return 1;
  lun_writer_destroy(writer);
  lun_store_destroy(store);
  puts(lun_version());
  return 0;
}
]]

local lists = [[
cmake_minimum_required(VERSION 3.25)
project(outside LANGUAGES C)
find_package(lunette 0.1 REQUIRED)
add_executable(shared program.c)
target_link_libraries(shared PRIVATE lunette::lunette)
add_executable(static program.c)
target_link_libraries(static PRIVATE lunette::lunette_static)
]]

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
  end)

  teardown(function() files.remove(folder.path) end)

  it("has a command that finds its scripts", function()
    assert.is_truthy(run(prefix .. "/bin/lunette", { "scripts" }):match("calltree"))
    assert.is_truthy(run(prefix .. "/bin/lunette", { "version" }):match("0%.1%.0"))
  end)

  it("serves a C program by pkg-config", function()
    files.write(folder .. "/program.c", program)
    local env = { PKG_CONFIG_PATH = prefix .. "/lib/pkgconfig" }
    local flags = run("pkg-config", { "--cflags", "--libs", "lunette" }, { env = env })
    local args = { folder .. "/program.c", "-o", folder .. "/program" }
    for flag in flags:gmatch("%S+") do args[#args + 1] = flag end
    run("cc", args)
    assert.equal("0.1.0\n", run(folder .. "/program", {}, { env = { LD_LIBRARY_PATH = prefix .. "/lib" } }))
  end)

  it("serves a C program by find_package, shared and static", function()
    local source = folder .. "/outside"
    files.make(source)
    files.write(source .. "/program.c", program)
    files.write(source .. "/CMakeLists.txt", lists)
    run("cmake", { "-S", source, "-B", source .. "/build", "-G", "Ninja", "-DCMAKE_PREFIX_PATH=" .. prefix })
    run("cmake", { "--build", source .. "/build" })
    assert.equal("0.1.0\n", run(source .. "/build/shared", {}))
    assert.equal("0.1.0\n", run(source .. "/build/static", {}))
  end)

  it("serves a Lua program by require", function()
    local share = prefix .. "/share/lua/5.4/"
    local env = {
      LUA_PATH = share .. "?.lua;" .. share .. "?/init.lua;;",
      LUA_CPATH = prefix .. "/lib/lua/5.4/?.so;;",
    }
    local text = [[
      local lunette = require("lunette")
      local module = lunette.module("\0asm\1\0\0\0")
      print(type(lunette.instantiate(module)))
    ]]
    assert.is_truthy(run("lua5.4", { "-e", text }, { env = env, cwd = folder.path }):match("^%a+\n$"))
  end)
end)
