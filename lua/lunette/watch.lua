-- SPDX-License-Identifier: MIT
--- --watch: scripts are reloaded when their file changes, or that of a module which one of them has required.
--
-- Folders are watched, so that a file may be written, replaced by another of its name, or be missing for a while. What
-- changes within a moment is taken together; a text that is the same as before is no change. Where a new text fails the old
-- script stays at work, and why is said once.

local core = require("lunette.core")
local script = require("lunette.script")

local watch = {}

local MOMENT_MS = 50

local function folder_of(path)
  local folder = path:match("^(.*)/[^/]*$")
  return folder == nil and "." or folder == "" and "/" or folder
end

-- Under which names a file's changes are told: its own, and where links lead.
local function names_of(path)
  local real = core.real_path(path)
  return real and real ~= path and { path, real } or { path }
end

-- As script.lua reads it.
local function text_of(path)
  local file = io.open(path, "rb")
  local text = file and file:read("a")
  if file then file:close() end
  return text and (text:gsub("^#[^\n]*", ""))
end

-- ---- reloading ----
local function reload(session, owner)
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

-- Whether the file is there with another text than the last one that was looked at.
local function has_changed(state, path)
  local text = text_of(path)
  if not text or text == state.texts[path] then return false end
  state.texts[path] = text
  return true
end

local function look(session, state)
  local owners, is_module = table.move(session.scripts, 1, #session.scripts, 1, {}), false
  state.timer = nil
  for _, path in pairs(session.required) do is_module = has_changed(state, path) or is_module end
  local changed = {}
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
local function look_soon(session, state)
  if state.timer then return end
  state.timer = core.timer(session.core, MOMENT_MS, false, function()
    session.core:without_budget(look, session, state) -- each script has its own
  end)
end

local function watch_folder(session, state, folder)
  if state.folders[folder] then return end
  state.folders[folder] = true
  local good, problem = core.watch_folder(session.core, folder, function(name)
    local path = folder == "." and name or folder == "/" and "/" .. name or folder .. "/" .. name
    if state.files[path] or state.files["./" .. path] then look_soon(session, state) end
  end)
  if not good then session.core:message(("cannot watch %s: %s"):format(folder, problem)) end
end

local function follow_file(session, state, path, text)
  if state.files[path] then return end
  state.texts[path] = text
  for _, name in ipairs(names_of(path)) do
    state.files[name] = true
    watch_folder(session, state, folder_of(name))
  end
end

--- From here on the files of the scripts that are loaded now, and of their modules, are watched.
function watch.follow(session)
  local state = session.watched
  if not state then
    state = { files = {}, folders = {}, texts = {} }
    session.watched = state
    look_soon(session, state) -- what has changed since they were read
  end
  for _, owner in ipairs(session.scripts) do
    if owner.path then follow_file(session, state, owner.path, owner.text) end
  end
  for _, path in pairs(session.required) do follow_file(session, state, path, text_of(path)) end
end

return watch
