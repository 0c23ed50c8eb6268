-- SPDX-License-Identifier: MIT
-- WASI from a guest's side, for specs. A small guest imports every function of core/wasi/calls.def and exports it again, so
-- that a spec can call each with the arguments that it likes:
--
--   local app = wasi.open({ dirs = { folder .. "::/" } })
--   local errno, fd = app.path_open(3, 0, "name", wasi.CREAT, wasi.READ | wasi.WRITE, 0, 0)
--   local errno, written = app.fd_write(fd, { "two ", "pieces" })
--   local errno, read, pieces = app.fd_read(fd, { 4, 10 })
--
-- By the kinds in the table: a path is given as text; pieces to write as a list of texts, pieces to read as a list of sizes
-- (whose contents come back at the end, as one text); a buffer as its size (likewise); results come back in order. Errors
-- come by name ("EBADF"). `app.raw` takes plain numbers, for arguments that no honest guest would give.

local files = require("spec.support.files")
local guest = require("spec.support.guest")

local wasi = {
  CREAT = 1, DIRECTORY = 2, EXCL = 4, TRUNC = 8,                      -- oflags
  APPEND = 1, DSYNC = 2, NONBLOCK = 4, RSYNC = 8, SYNC = 16,          -- fdflags
  FOLLOW = 1,                                                         -- lookupflags
  ATIM = 1, ATIM_NOW = 2, MTIM = 4, MTIM_NOW = 8,                     -- fstflags
  READ = 1 << 1, SEEK = 1 << 2, TELL = 1 << 5, WRITE = 1 << 6, ALLOCATE = 1 << 8, SET_SIZE = 1 << 22, -- rights
  SET_TIMES = 1 << 23,
  FILE = 0x08e001ff,                                                  -- all that a file can have
  FOLDER = 0x0fbffe19,                                                -- all that a folder can have
  ALL = 0x0fffffff,
  memory_size = 65536,
}

-- Every spec holds on both ways of keeping paths inside.
wasi.ways = { ["by openat2"] = false, ["component by component"] = true }

-- ---- the tables of core/wasi ----
local function table_text(name) return (files.read("core/wasi/" .. name):gsub("/%*.-%*/", "")) end

wasi.rows = {}
for name, rest in table_text("calls.def"):gmatch("CALL%(([%w_]+),(.-)%)\n") do
  local texts = {}
  for text in rest:gmatch('"([^"]*)"') do texts[#texts + 1] = text end
  local row = { name = name, group = texts[1], signature = texts[2], params = {}, kinds = {} }
  for word in texts[3]:gmatch("%S+") do row.params[#row.params + 1] = word end
  for word in texts[4]:gmatch("%S+") do row.kinds[#row.kinds + 1] = word end
  wasi.rows[#wasi.rows + 1] = row
end

-- By number, from 0.
wasi.errnos = {}
for name in table_text("errno.def"):gmatch("ERRNO%((%w+)%)") do
  wasi.errnos[wasi.errnos[0] and #wasi.errnos + 1 or 0] = name
end

-- ---- the guest ----
local types = { i = "i32", I = "i64" }

function wasi.guest_text(module)
  local out = { "(module" }
  local function add(format, ...) out[#out + 1] = format:format(...) end
  local rows = {}
  for _, row in ipairs(wasi.rows) do
    if not (module == "wasi_unstable" and row.name == "sock_accept") then rows[#rows + 1] = row end
  end
  for _, row in ipairs(rows) do
    local params, results = row.signature:match("^(.*):(.*)$")
    row.type = params:gsub(".", function(letter) return " (param " .. types[letter] .. ")" end)
    if #results > 0 then row.type = row.type .. " (result i32)" end
    add('(import "%s" "%s" (func $%s%s))', module, row.name, row.name, row.type)
  end
  add('(memory (export "memory") 1)')
  for _, row in ipairs(rows) do
    local gets = {}
    for i = 1, #row.params do gets[i] = "(local.get " .. i - 1 .. ")" end
    add('(func (export "%s")%s (call $%s %s))', row.name, row.type, row.name, table.concat(gets, " "))
  end
  add(")")
  return table.concat(out, "\n")
end

-- ---- arguments in, results out ----
local results = {
  size = { 4, "<I4" }, fd = { 4, "<I4" }, roflags = { 2, "<I2" },
  filesize = { 8, "<i8" }, timestamp = { 8, "<i8" },
  filestat = { 64, function(text)
    local dev, ino, type, links, size, atim, mtim, ctim = ("<I8I8I1xxxxxxxI8I8i8i8i8"):unpack(text)
    return { dev = dev, ino = ino, type = type, links = links, size = size, atim = atim, mtim = mtim, ctim = ctim }
  end },
  fdstat = { 24, function(text)
    local type, flags, rights, inheriting = ("<I1xI2xxxxI8I8"):unpack(text)
    return { type = type, flags = flags, rights = rights, inheriting = inheriting }
  end },
  prestat = { 8, function(text) return { tag = text:byte(1), length = ("<I4"):unpack(text, 5) } end },
}

local function marshal(memory, row, given)
  local at, taken, args, outs = 1024, 0, {}, {}
  local function room(size)
    local address = at
    at = (at + size + 7) & ~7
    return address
  end
  local function take()
    taken = taken + 1
    return given[taken]
  end
  local i = 1
  while i <= #row.kinds do
    local kind = row.kinds[i]
    if kind == "path" then
      local text = take()
      args[i], args[i + 1] = room(#text), #text
      memory:write(args[i], text)
      i = i + 1
    elseif kind == "bytes" then
      args[i + 1] = take()
      args[i] = room(args[i + 1])
      outs[#outs + 1] = { kind = "bytes", address = args[i], size = args[i + 1], last = true }
      i = i + 1
    elseif kind == "iovs" or kind == "ciovs" then
      local list = take()
      args[i], args[i + 1] = room(8 * #list), #list
      for k, piece in ipairs(list) do
        local size = kind == "iovs" and piece or #piece
        local address = room(size)
        memory:write(args[i] + 8 * (k - 1), ("<I4I4"):pack(address, size))
        if kind == "ciovs" then memory:write(address, piece) end
        if kind == "iovs" then outs[#outs + 1] = { kind = "bytes", address = address, size = size, last = true } end
      end
      i = i + 1
    elseif kind:sub(1, 1) == "=" then
      local how = results[kind:sub(2)]
      args[i] = room(how[1])
      outs[#outs + 1] = { address = args[i], size = how[1], how = how[2], counts = kind == "=size" }
    else
      args[i] = take()
    end
    i = i + 1
  end
  return args, outs
end

-- In order, and the bytes of all buffers at the end, cut to the size that a result says.
local function collect(memory, outs)
  local values, bytes, count = {}, nil, nil
  for _, out in ipairs(outs) do
    local text = memory:string(out.address, out.size)
    if out.last then
      bytes = (bytes or "") .. text
    else
      local value = type(out.how) == "function" and out.how(text) or (type(out.how) == "string" and out.how:unpack(text))
      values[#values + 1] = value
      if out.counts then count = count or value end
    end
  end
  if bytes then values[#values + 1] = count and bytes:sub(1, count) or bytes end
  return table.unpack(values)
end

-- options: what lunette.instantiate takes as wasi=, and module = "wasi_unstable". The guest's 0 to 2 are /dev/null, if not
-- given.
function wasi.open(options)
  local settings = { stdin = "/dev/null", stdout = "/dev/null", stderr = "/dev/null" }
  for name, value in pairs(options or {}) do settings[name] = value end
  local module = settings.module or "wasi_snapshot_preview1"
  settings.module = nil
  local session = guest.session()
  local bytes = require("spec.support.wat")(wasi.guest_text(module))
  local instance = session.instantiate(session.module(bytes), { wasi = settings })
  local memory = instance.memory
  local app = { memory = memory, instance = instance, lunette = session, raw = {} }
  for _, row in ipairs(wasi.rows) do
    if instance.exports[row.name] then
      app.raw[row.name] = function(...) return wasi.errnos[instance:invoke(row.name, ...)] end
      app[row.name] = function(...)
        local args, outs = marshal(memory, row, { ... })
        local errno = app.raw[row.name](table.unpack(args))
        if errno ~= "ESUCCESS" then return errno end
        return errno, collect(memory, outs)
      end
    end
  end
  return app
end

-- Opens a file to read and write, or fails the spec.
function wasi.file(app, path, oflags, rights, fdflags, folder)
  local errno, fd = app.path_open(folder or 3, 0, path, oflags or 0, rights or wasi.FILE, 0, fdflags or 0)
  if errno ~= "ESUCCESS" then error(path .. ": " .. errno, 2) end
  return fd
end

return wasi
