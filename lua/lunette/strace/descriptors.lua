-- SPDX-License-Identifier: MIT
--- Which path stands behind which descriptor of a guest: learnt from its calls alone (fd_prestat_dir_name, path_open,
-- fd_close, fd_renumber, path_rename, sock_accept), and so known of what it did while it was watched.
--
-- `descriptors.new()` gives { factory=, of(call) }: a factory for lunette.factory, to be attached after those who ask, so
-- that it hears the end of a call before they do; and the descriptors of the call's instance: { [fd] = path, args=, env= }.

local wasi = require("lunette.wasi")

local descriptors = {}

local function join(folder, path)
  if not folder or path:sub(1, 1) == "/" then return path end
  if folder == "." or path == "." then return folder == "." and path or folder end
  return (folder:sub(-1) == "/" and folder or folder .. "/") .. path
end

--- The path beneath a descriptor's folder; as it is where the folder is not known.
function descriptors.path(open, fd, path) return join(open[fd], path) end

local function renamed(open, from, to)
  for fd, path in pairs(open) do
    if math.type(fd) == "integer" and path == from then
      open[fd] = to
    elseif math.type(fd) == "integer" and path:sub(1, #from + 1) == from .. "/" then
      open[fd] = to .. path:sub(#from + 1)
    end
  end
end

-- What a call that succeeded changes: function(open, memory, its params…).
local changes = {}

function changes.fd_prestat_dir_name(open, memory, fd, address, size) open[fd] = wasi.bytes(memory, address, size) end

function changes.path_open(open, memory, folder, _, address, size, _, _, _, _, opened)
  local path, fd = wasi.bytes(memory, address, size), wasi.result("fd", memory, opened)
  if path and fd then open[fd] = join(open[folder], path) end
end

function changes.fd_close(open, _, fd) open[fd] = nil end

function changes.fd_renumber(open, _, from, to)
  if from ~= to then open[to], open[from] = open[from], nil end
end

function changes.path_rename(open, memory, from_folder, from, from_size, to_folder, to, to_size)
  local old, new = wasi.bytes(memory, from, from_size), wasi.bytes(memory, to, to_size)
  if old and new then renamed(open, join(open[from_folder], old), join(open[to_folder], new)) end
end

function changes.sock_accept(open, memory, _, _, opened)
  local fd = wasi.result("fd", memory, opened)
  if fd then open[fd] = "socket" end
end

function changes.args_sizes_get(open, memory, count) open.args = wasi.result("size", memory, count) end
function changes.environ_sizes_get(open, memory, count) open.env = wasi.result("size", memory, count) end

--- Followed for all instances of a session.
function descriptors.new()
  local instances = {}
  local function of(call)
    local open = instances[call.instance]
    if not open then
      open = { [0] = "stdin", "stdout", "stderr" }
      instances[call.instance] = open
    end
    return open
  end
  local function factory(definition)
    local change = wasi.row(definition) and changes[definition.name]
    if not change then return nil end
    return {
      before = function(call, ...) call.data = { ... } end,
      after = function(call, errno)
        if errno == 0 then change(of(call), call.memory, table.unpack(call.data)) end
      end,
    }
  end
  return { factory = factory, of = of }
end

return descriptors
