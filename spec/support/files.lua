-- SPDX-License-Identifier: MIT
-- Files and folders for specs: whole reads and writes, temporary folders that go away, copies of trees.

local lfs = require("lfs")
local uv = require("luv")

local files = {}

function files.read(path)
  local file = assert(io.open(path, "rb"))
  local text = assert(file:read("a"))
  file:close()
  return text
end

function files.write(path, text)
  local file = assert(io.open(path, "wb"))
  assert(file:write(text))
  assert(file:close())
end

function files.exists(path) return lfs.symlinkattributes(path, "mode") ~= nil end

-- Names in a folder, sorted, without "." and "..".
function files.list(path)
  local names = {}
  for name in lfs.dir(path) do
    if name ~= "." and name ~= ".." then names[#names + 1] = name end
  end
  table.sort(names)
  return names
end

function files.remove(path)
  if lfs.symlinkattributes(path, "mode") == "directory" then
    for _, name in ipairs(files.list(path)) do files.remove(path .. "/" .. name) end
    assert(lfs.rmdir(path))
  else
    assert(os.remove(path))
  end
end

-- All folders on the way, too.
function files.make(path)
  local at = path:sub(1, 1) == "/" and "" or "."
  for part in path:gmatch("[^/]+") do
    at = at .. "/" .. part
    if not files.exists(at) then assert(lfs.mkdir(at)) end
  end
end

function files.copy(from, to)
  local mode = lfs.symlinkattributes(from, "mode")
  if mode == "directory" then
    if not files.exists(to) then assert(lfs.mkdir(to)) end
    for _, name in ipairs(files.list(from)) do files.copy(from .. "/" .. name, to .. "/" .. name) end
  elseif mode == "link" then
    assert(uv.fs_symlink(assert(uv.fs_readlink(from)), to))
  else
    assert(uv.fs_copyfile(from, to))
    assert(uv.fs_chmod(to, 420 | (lfs.attributes(from, "permissions"):sub(3, 3) == "x" and 73 or 0)))
  end
end

local Folder = {}
Folder.__index = Folder
Folder.__tostring = function(self) return self.path end
Folder.__concat = function(a, b) return tostring(a) .. tostring(b) end
Folder.__close = function(self)
  if files.exists(self.path) then files.remove(self.path) end
end

-- A fresh folder; `local folder <close> = files.temporary()` removes it with all it holds.
function files.temporary()
  local path = assert(uv.fs_mkdtemp((os.getenv("TMPDIR") or "/tmp") .. "/lunette-XXXXXX"))
  return setmetatable({ path = path }, Folder)
end

return files
