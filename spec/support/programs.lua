-- SPDX-License-Identifier: MIT
-- The corpus' programs: real guests with recorded behaviour. Iterates their cases, lays out fresh folders for each run and
-- says what is expected of it.

local command = require("spec.support.command")
local corpus = require("spec.support.corpus")
local files = require("spec.support.files")

local programs = {}

local Case = {}
Case.__index = Case

-- The names of a case's environment in the order of the file, which a Lua table does not keep.
local function env_orders(text)
  local orders = {}
  for object in text:gmatch('"env":%s*(%b{})') do
    local names = {}
    for name in object:gmatch('"([^"]+)":') do names[#names + 1] = name end
    orders[#orders + 1] = names
  end
  return orders
end

-- Every case of every program that has a module here: a list of cases with program, name, wasm and the fields of case.json.
function programs.cases()
  local root = corpus.folder("programs")
  if not root then return nil end
  local cases = {}
  for _, name in ipairs(files.list(root)) do
    local folder = root .. "/" .. name
    if files.exists(folder .. "/case.json") then
      local program = corpus.json(folder .. "/case.json")
      if program.wasm then
        local orders = env_orders(files.read(folder .. "/case.json"))
        for i, case in ipairs(program.cases) do
          case.env_order = orders[i]
          case.program, case.folder, case.wasm = name, folder, folder .. "/" .. program.wasm
          case.title = name .. " " .. case.name
          cases[#cases + 1] = setmetatable(case, Case)
        end
      end
    end
  end
  return cases
end

function Case:text(field) return self[field] and files.read(self.folder .. "/" .. self[field]) end
function Case:json(field) return self[field] and corpus.json(self.folder .. "/" .. self[field]) end

-- The index of the function of that name (of an import: "module.name").
function Case:index_of(name)
  for _, row in ipairs(corpus.json(self.folder .. "/functions.json").functions) do
    if row.name == name or row.import and table.concat(row.import, ".") == name then return row.index end
  end
  error(("%s has no function %s"):format(self.program, name))
end

-- Fresh copies of the folders it is given, in `into` (a folder): a list of { host =, guest = }.
function Case:lay_out(into)
  local dirs = {}
  for i, dir in ipairs(self.dirs or {}) do
    local host = ("%s/dir%d"):format(into, i)
    files.make(host)
    if dir.fixture then files.copy(self.folder .. "/" .. dir.fixture, host) end
    dirs[i] = { host = host, guest = dir.guest }
  end
  return dirs
end

-- The arguments of `lunette run` that come before those of the guest: folders, environment, name.
function Case:options(dirs)
  local options = {}
  for _, dir in ipairs(dirs) do
    options[#options + 1] = "--dir"
    options[#options + 1] = dir.host .. "::" .. dir.guest
  end
  for _, name in ipairs(self.env_order or {}) do
    options[#options + 1] = "--env"
    options[#options + 1] = name .. "=" .. self.env[name]
  end
  options[#options + 1] = "--argv0"
  options[#options + 1] = self.args[1]
  for _, name in ipairs(self.invoke or {}) do
    options[#options + 1] = "--invoke"
    options[#options + 1] = name
  end
  return options
end

-- Runs it through the command, with further options before its own (scripts, outputs).
function Case:run(dirs, extra, timeout)
  local args = { "run" }
  for _, list in ipairs({ extra or {}, self:options(dirs), { self.wasm }, { table.unpack(self.args, 2) } }) do
    for _, word in ipairs(list) do args[#args + 1] = word end
  end
  return command.run(command.lunette, args, { stdin = self:text("stdin"), timeout = timeout or 120 })
end

local function listing(folder, prefix, list)
  for _, name in ipairs(files.list(folder)) do
    local path = folder .. "/" .. name
    if require("lfs").symlinkattributes(path, "mode") == "directory" then
      list[#list + 1] = { path = prefix .. name, dir = true }
      listing(path, prefix .. name .. "/", list)
    else
      list[#list + 1] = { path = prefix .. name, size = #files.read(path), full = path }
    end
  end
  return list
end

-- What lies in the folders after a run, in the form of case.json's files_after.
function programs.files_now(dirs)
  local result = {}
  for i, dir in ipairs(dirs) do
    local list = listing(dir.host, "", {})
    local paths = {}
    for _, entry in ipairs(list) do paths[#paths + 1] = entry.full end
    local sums = {}
    if #paths > 0 then
      local stdout = command.run("sha256sum", paths).stdout
      for sum, path in stdout:gmatch("(%x+)  ([^\n]+)\n") do sums[path] = sum end
    end
    for _, entry in ipairs(list) do
      entry.sha256 = entry.full and sums[entry.full]
      entry.full = nil
    end
    table.sort(list, function(a, b) return a.path < b.path end)
    result[i] = { guest = dir.guest, files = list }
  end
  return result
end

-- The sum by which case.json records long listings: of the list as JSON text.
function programs.sum_of_listing(list)
  local rows = {}
  for i, entry in ipairs(list) do
    local path = require("dkjson").quotestring(entry.path)
    if entry.dir then
      rows[i] = ('{"path":%s,"dir":true}'):format(path)
    else
      rows[i] = ('{"path":%s,"size":%d,"sha256":"%s"}'):format(path, entry.size, entry.sha256)
    end
  end
  local text = "[" .. table.concat(rows, ",") .. "]"
  return command.run("sha256sum", {}, { stdin = text }).stdout:match("^%x+")
end

return programs
