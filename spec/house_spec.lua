-- SPDX-License-Identifier: MIT
-- The house stands: layers see only what is below them, every source is listed, handlers are what they must be.

local command = require("spec.support.command")
local corpus = require("spec.support.corpus")
local files = require("spec.support.files")

-- Layer → the folders whose headers it may include (the door is open to all).
local below = {
  base = {},
  module = { "base" },
  symbols = { "module", "base" },
  engine = { "module", "base" },
  trace = { "engine", "symbols", "module", "base" },
  output = { "base" },
  wasi = {},
  toolchain = {},
  ["lua/binding"] = {},
}

local function folder_of(layer) return layer:find("/") and layer or "core/" .. layer end

local function sources(folder, pattern, found)
  found = found or {}
  for _, name in ipairs(files.list(folder)) do
    local path = folder .. "/" .. name
    if require("lfs").attributes(path, "mode") == "directory" then
      sources(path, pattern, found)
    elseif name:match(pattern) then
      found[#found + 1] = path
    end
  end
  return found
end

-- The include options with which CMake compiles the files of a folder.
local function include_options(folder)
  for _, entry in ipairs(corpus.json(command.build .. "/compile_commands.json")) do
    if entry.file:find(command.root .. "/" .. folder .. "/", 1, true) then
      local options = {}
      for kind, path in entry.command:gmatch("%-(I)(%S+)") do options[#options + 1] = "-" .. kind .. path end
      for path in entry.command:gmatch("%-isystem (%S+)") do options[#options + 1] = "-isystem" .. path end
      return options
    end
  end
  error("nothing of " .. folder .. " is compiled")
end

local function compiles(folder, header)
  local directory <close> = files.temporary()
  files.write(directory .. "/probe.c", ('#include "%s"\n'):format(header))
  local args = include_options(folder)
  for _, more in ipairs({ "-fsyntax-only", directory .. "/probe.c" }) do args[#args + 1] = more end
  return command.run("cc", args).status == 0
end

describe("a layer", function()
  for layer, seen in pairs(below) do
    local may = { [layer] = true }
    for _, name in ipairs(seen) do may[name] = true end
    for other in pairs(below) do
      it(("%s %s include the headers of %s"):format(layer, may[other] and "may" or "cannot", other), function()
        for _, path in ipairs(sources(folder_of(other), "%.h$")) do
          assert.equal(may[other] or false, compiles(folder_of(layer), path:match("[^/]+$")), path)
        end
      end)
    end
  end

  it("does not reach around the targets with relative includes", function()
    for _, path in ipairs(sources("core", "%.[ch]$")) do
      assert.is_nil(files.read(path):match('#%s*include%s*["<]%.%./[^\n]*'), path)
    end
    for _, path in ipairs(sources("lua", "%.[ch]$")) do
      assert.is_nil(files.read(path):match('#%s*include%s*["<]%.%./[^\n]*'), path)
    end
  end)

  it("leaves lua.h to the binding and the command", function()
    for _, path in ipairs(sources("core", "%.[ch]$")) do
      assert.is_nil(files.read(path):match('#%s*include%s*["<]lua[^n][^\n]*'), path)
    end
  end)
end)

describe("CMakeLists.txt", function()
  it("names every source", function()
    local listed = {}
    for word in files.read("CMakeLists.txt"):gmatch("[%w_%-%./]+") do listed[word] = true end
    local function check(folder, pattern)
      for _, path in ipairs(sources(folder, pattern)) do
        local name = folder == "lua/lunette" and path:sub(#folder + 2) or path:match("[^/]+$")
        assert.is_true(listed[name] or listed[name:gsub("%.c$", "")], path .. " is in no list of CMakeLists.txt")
      end
    end
    check("core", "%.c$")
    check("lua", "%.c$")
    check("lua/lunette", "%.lua$")
    check("scripts", "%.lua$")
    check("spec/c", "%.c$")
    check("core/include/lunette", "%.h$")
    check("examples", "%.c$")
  end)
end)

describe("every file", function()
  it("says its licence in its first two lines", function()
    for _, folder in ipairs({ "core", "lua", "scripts", "examples", "spec", "cmake" }) do
      for _, path in ipairs(sources(folder, "%.[chl]u?a?$")) do
        local head = files.read(path):sub(1, 200)
        assert.is_truthy(head:match("SPDX%-License%-Identifier: MIT"), path)
      end
    end
  end)
end)

describe("the engine's handlers", function()
  it("neither grow the C stack nor call outside the list", function()
    local mode = command.sanitized and "sanitized" or "plain"
    local result = command.run("lua5.4", { "cmake/check_handlers.lua", command.build, mode })
    assert.equal("", result.stderr)
    assert.equal(0, result.status)
  end)
end)

describe("the shared library", function()
  it("exports the door and nothing else", function()
    local result = command.run("nm", { "-D", "--defined-only", command.build .. "/lib/liblunette.so" })
    for name in result.stdout:gmatch("%x+ [TDBR] (%S+)") do assert.is_truthy(name:match("^lun_"), name) end
  end)

  it("exports everything that the door's headers declare", function()
    local result = command.run("nm", { "-D", "--defined-only", command.build .. "/lib/liblunette.so" })
    local exported = {}
    for name in result.stdout:gmatch("%x+ [TDBR] (%S+)") do exported[name] = true end
    for _, path in ipairs(sources("core/include/lunette", "%.h$")) do
      for declaration in files.read(path):gmatch("LUN_API [^;]-(lun_[%w_]+)%s*%(") do
        assert.is_true(exported[declaration], path .. ": " .. declaration)
      end
    end
  end)
end)
