-- SPDX-License-Identifier: MIT
--- What a script finds as its globals: the standard library, or, in a sandbox, what of it touches nothing outside. Text is
-- taken as code, bytecode never, since Lua does not check it.

local environment = {}

-- ---- text alone ----
local function text_mode(mode)
  if mode == nil or tostring(mode):find("t", 1, true) then return "t" end
  return ""
end

-- load; what names no environment gets `env`.
local function load_text(original, env)
  return function(chunk, name, mode, ...)
    if select("#", ...) > 0 then return original(chunk, name, text_mode(mode), ...) end
    return original(chunk, name, text_mode(mode), env)
  end
end

local function loadfile_text(original, env)
  return function(path, mode, ...)
    if select("#", ...) > 0 then return original(path, text_mode(mode), ...) end
    return original(path, text_mode(mode), env)
  end
end

local function dofile_text(loadfile_of)
  return function(path)
    local chunk, problem = loadfile_of(path)
    if not chunk then error(problem, 0) end
    return chunk()
  end
end

local function add_loaders(env, from, own)
  env.load = load_text(from.load, own)
  env.loadfile = loadfile_text(from.loadfile, own)
  env.dofile = dofile_text(env.loadfile)
end

-- ---- modules ----
-- Where a module of that name would lie beside the scripts: it may come.
local function places_beside(name)
  local list, file = {}, name:gsub("%.", "/"):gsub("%%", "%%%%")
  for template in package.path:gmatch("[^;]+") do
    if not template:find("^/") then list[#list + 1] = (template:gsub("%?", file)) end
  end
  return list
end

-- The path of the module's file; or nil and where it was looked for. --watch has to know of both.
local function find_module(session, name)
  local path, problem = package.searchpath(name, package.path)
  session.required[name] = path
  session.missing[name] = not path and places_beside(name) or nil
  if session.watched then session.watched.note() end
  return path, problem
end

local function load_module(session, name, path, env)
  local file, problem = io.open(path, "rb")
  local text, chunk
  if file then
    text, problem = file:read("a")
    file:close()
  end
  if text then
    text = text:gsub("^#[^\n]*", "")
    session.module_texts[path] = text
    chunk, problem = load(text, "@" .. path, "t", env)
  end
  if not chunk then error(("error loading module '%s' from file '%s':\n\t%s"):format(name, path, problem), 0) end
  return chunk
end

--- In the whole Lua state, which is the command's; where modules lie is noted in session.required. `sandbox`: what a string's
-- metatable leads to is the sandbox's, too, so that string.dump is nobody's.
function environment.refuse_bytecode(session, sandbox)
  if sandbox then rawset(string, "dump", nil) end
  add_loaders(_G, { load = load, loadfile = loadfile }, _G)
  package.searchers[2] = function(name)
    local path, problem = find_module(session, name)
    if not path then return problem end
    return load_module(session, name, path, _G), path
  end
end

-- ---- what both have ----
local function basis(session, api)
  local env = { lunette = api }
  env._G = env
  function env.print(...)
    local parts = table.pack(...)
    for i = 1, parts.n do parts[i] = tostring(parts[i]) end
    session:open():write(table.concat(parts, "\t") .. "\n")
  end
  return env
end

-- What require gives; that there is no such module is said of who has asked for it.
local function required(good, ...)
  if good then return ... end
  local problem = ...
  local is_missing = type(problem) == "string" and problem:find("^module '.-' not found")
  error(problem, is_missing and 2 or 0) -- who has called `require`, in whose place this stands
end

--- All of the standard library. `owner` may be nil: whose it is.
function environment.free(session, api, owner)
  local env = basis(session, api)
  function env.require(name)
    if owner then owner.requires = true end
    if name == "lunette" then return api end
    if name == "luv" then return api.uv end
    return required(pcall(require, name))
  end
  add_loaders(env, _G, env)
  return setmetatable(env, { __index = _G })
end

-- ---- the sandbox ----
local functions = { "assert", "error", "ipairs", "next", "pairs", "pcall", "rawequal", "rawget", "rawlen", "rawset", "select",
                    "setmetatable", "tonumber", "tostring", "type", "xpcall", "_VERSION" }
local libraries = { coroutine = {}, math = {}, string = { dump = true }, table = {}, utf8 = {} } -- less these
local os_functions = { "clock", "date", "difftime", "time" }
local collecting = { collect = true, count = true, step = true }

-- Tables of its own, so that what a script changes in them is nobody else's.
local function copy_libraries(env)
  for name, less in pairs(libraries) do
    env[name] = {}
    for key, value in pairs(_G[name]) do
      if not less[key] then env[name][key] = value end
    end
  end
  env.os = {}
  for _, key in ipairs(os_functions) do env.os[key] = os[key] end
end

-- A string's metatable leads to the functions that everybody uses.
local function getmetatable_safe(value)
  if type(value) == "string" then return "string" end
  return getmetatable(value)
end

local function collectgarbage_safe(what, ...)
  if what ~= nil and not collecting[what] then
    error(("collectgarbage: a script in the sandbox can't \"%s\""):format(tostring(what)), 2)
  end
  return collectgarbage(what, ...)
end

-- A file of Lua on package.path, run once, in a sandbox of its own.
local function require_file(session, name)
  local known = session.sandboxed[name]
  if known ~= nil then return known end
  if not name:find("^[%w_%-.]+$") or ("." .. name .. "."):find("..", 1, true) then
    error(("require: \"%s\" is no module's name"):format(name), 0)
  end
  local path, problem = find_module(session, name)
  if not path then error(("module '%s' not found (in the sandbox only Lua files are):%s"):format(name, problem), 0) end
  local value = load_module(session, name, path, environment.closed(session, session:sandbox_api()))(name, path)
  session.sandboxed[name] = value == nil and true or value
  return session.sandboxed[name]
end

--- Nothing that reaches files, processes, C or other scripts.
function environment.closed(session, api, owner)
  local env = basis(session, api)
  for _, name in ipairs(functions) do env[name] = _G[name] end
  copy_libraries(env)
  env.getmetatable, env.collectgarbage = getmetatable_safe, collectgarbage_safe
  env.load = load_text(load, env)
  function env.require(name)
    if name == "lunette" then return api end
    if type(name) ~= "string" then error("require: a name expected, got " .. type(name), 2) end
    if libraries[name] or name == "os" then return env[name] end
    if owner then owner.requires = true end
    local good, value = pcall(require_file, session, name)
    if not good then error(value, type(value) == "string" and 2 or 0) end
    return value
  end
  return env
end

return environment
