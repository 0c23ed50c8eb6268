-- SPDX-License-Identifier: MIT
--- --watch: scripts are reloaded when their file changes, or that of a module which one of them has required.
--
-- Folders are watched, so that a file may be written, replaced by another of its name, or be missing for a while; so are the
-- folders above it and the links on the way to it, which may be moved, removed and made again as well. What changes until
-- nothing has changed for a moment is taken together; a text that is the same as before is no change. Where a new text fails
-- the old script stays at work, and why is said once.

local core = require("lunette.core")
local script = require("lunette.script")

local watch = {}

local MOMENT_NS = 50000000
local LONGEST_NS = 1000000000 -- what never rests is looked at all the same
local LINKS_MOST = 40         -- as in Linux

-- As script.lua reads it; nil: there is no such file, or it is none that could be read twice.
local function text_of(path)
  local id, is_file = core.file_id(path)
  local file = id and is_file and io.open(path, "rb")
  local text = file and file:read("a")
  if file then file:close() end
  return text and (text:gsub("^#[^\n]*", "")) or nil
end

-- ---- reloading ----
local function reload(session, owner)
  if owner.gone then return false end -- another's new text has unloaded it
  local good, problem = pcall(script.reload, session, owner)
  if good then session.core:message(("reloaded %s"):format(owner.name))
  else session.core:message(("%s\nhint: the old %s stays at work"):format(tostring(problem), owner.name)) end
  return good
end

-- Modules are required anew by the scripts that have required any; where all of these fail, the old ones are back.
local function reload_modules(session, owners)
  local loaded, sandboxed, one_is_good = {}, session.sandboxed, false
  for name in pairs(session.required) do
    loaded[name] = package.loaded[name]
    package.loaded[name] = nil
  end
  session.sandboxed = {}
  for _, owner in ipairs(owners) do
    if owner.requires then one_is_good = reload(session, owner) or one_is_good end
  end
  if one_is_good then return end
  session.sandboxed = sandboxed
  for name, value in pairs(loaded) do package.loaded[name] = value end
end

-- ---- where files lie ----
local function parts_of(path)
  local parts = {}
  for part in path:gmatch("[^/]+") do
    if part ~= "." then parts[#parts + 1] = part end
  end
  return parts
end

local function joined(folder, name)
  return folder == "." and name or folder == "/" and "/" .. name or folder .. "/" .. name
end

-- Notes under which name in which folder each step of the way to the file is looked up. Gives the folder of the last.
local function follow_path(path, note)
  local folder, last = path:find("^/") and "/" or ".", nil
  local parts, links = parts_of(path), 0
  while #parts > 0 and links < LINKS_MOST do
    local name = table.remove(parts, 1)
    local full, link = joined(folder, name), nil
    if name ~= ".." then
      note(folder, name)
      link, last = core.read_link(full), folder
    end
    if link then
      local way = parts_of(link)
      parts = table.move(parts, 1, #parts, #way + 1, way)
      links = links + 1
      if link:find("^/") then folder = "/" end
    else
      folder = full
    end
  end
  return last
end

-- ---- looking ----
local function look_soon(session, state)
  state.changed_ns = core.monotonic_ns()
  if state.timer or state.over then return end
  local began = state.changed_ns
  local function wait(ns)
    state.timer = core.timer(session.core, ns // 1000000 + 1, false, function()
      local now = core.monotonic_ns()
      local rest = MOMENT_NS - (now - state.changed_ns)
      if rest > 0 and now - began < LONGEST_NS and not state.over then return wait(rest) end
      state.timer = nil
      session.core:without_budget(state.look) -- each script has its own
    end)
  end
  wait(MOMENT_NS)
end

-- Whether the file is there with another text than the last one that was looked at.
local function has_changed(state, path)
  local text = text_of(path)
  if not text or text == state.texts[path] then return false end
  state.texts[path] = text
  return true
end

-- Modules that are there, and those that were asked for in vain.
local function modules_of(session)
  local paths = {}
  for _, path in pairs(session.required) do paths[path] = true end
  for _, list in pairs(session.missing) do
    for _, path in ipairs(list) do paths[path] = true end
  end
  return paths
end

local function look(session, state)
  if state.over then return end
  watch.follow(session) -- first, so that what is written from here on is told
  local owners, is_module, changed = table.move(session.scripts, 1, #session.scripts, 1, {}), false, {}
  for path in pairs(modules_of(session)) do is_module = has_changed(state, path) or is_module end
  for _, owner in ipairs(owners) do
    if owner.path and changed[owner.path] == nil then changed[owner.path] = has_changed(state, owner.path) end
  end
  if is_module then reload_modules(session, owners) end
  for _, owner in ipairs(owners) do
    if changed[owner.path] and not (is_module and owner.requires) then reload(session, owner) end
  end
  watch.follow(session)
end

-- ---- watching ----
local function start(session, state, folder, id, is_last)
  local known = { id = id, names = {} }
  local own = folder:match("[^/]*$")
  local problem, is_missing
  known.handle, problem, is_missing = core.watch_folder(session.core, folder, function(name)
    if name == own then known.id = nil end -- it has gone, or may have
    if name == own or known.names[name] then look_soon(session, state) end
  end)
  if not known.handle and is_last and not is_missing and not state.told[folder] then
    state.told[folder] = true
    session.core:message(("cannot watch %s: %s"):format(folder, problem))
  end
  return known.handle and known or nil
end

-- Watches the folders with these names in them, and no others: { folder = { name = true } }.
local function watch_folders(session, state, wanted, last)
  for folder, known in pairs(state.folders) do
    if not wanted[folder] or known.id ~= core.file_id(folder) then
      core.unwatch_folder(known.handle)
      state.folders[folder] = nil
    end
  end
  for folder, names in pairs(wanted) do
    local known = state.folders[folder]
    if not known then
      local id = core.file_id(folder)
      known = id and start(session, state, folder, id, last[folder])
      state.folders[folder] = known or nil
    end
    if known then known.names = names end
  end
end

local function state_of(session)
  local state = { folders = {}, texts = {}, told = {} }
  function state.look() look(session, state) end
  function state.stop() state.over = true end
  function state.note(fresh) -- a script or a module is new; of a script the text that it was read with counts
    if fresh then state.texts[fresh] = nil end
    look_soon(session, state)
  end
  session.watched = state
  look_soon(session, state) -- what has changed since they were read
  return state
end

--- From here on the files of the scripts that are loaded now, and of their modules, are watched.
function watch.follow(session)
  local state = session.watched or state_of(session)
  local wanted, last = {}, {}
  local function note(folder, name)
    wanted[folder] = wanted[folder] or {}
    wanted[folder][name] = true
  end
  local function follow(path, text)
    local id, is_file = core.file_id(path)
    if id and not is_file then return end -- a pipe, perhaps
    if state.texts[path] == nil then state.texts[path] = text end
    local folder = follow_path(path, note)
    if folder then last[folder] = true end
  end
  for _, owner in ipairs(session.scripts) do
    if owner.path then follow(owner.path, owner.text) end
  end
  for path in pairs(modules_of(session)) do follow(path, session.module_texts[path]) end
  watch_folders(session, state, wanted, last)
end

return watch
