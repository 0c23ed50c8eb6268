-- SPDX-License-Identifier: MIT
--- How strace shows the values of WASI calls, by the kinds of core/wasi/calls.def.
--
-- Each function here takes a `view` of the call: { memory=, open= (descriptors), is_unstable=, most= (bytes of a string that
-- are shown) }, and gives text.

local text = require("lunette.strace.text")
local wasi = require("lunette.wasi")

local values = {}

local ITEMS_MOST = 8 -- of buffers, entries, subscriptions, strings

-- ---- numbers ----
function values.number(_, value) return ("%d"):format(value) end
function values.size(_, value) return ("%d"):format(value & 0xffffffff) end
function values.pointer(_, value) return ("0x%x"):format(value & 0xffffffff) end
function values.unsigned(_, value) return (value < 0 and "0x%x" or "%d"):format(value) end

--- 3</data/file>, or 3 where its path is not known.
function values.descriptor(view, fd)
  local path = view.open[fd]
  return path and ("%d<%s>"):format(fd, text.escape(path)) or ("%d"):format(fd)
end

local function flags(kind)
  return function(_, bits)
    local names, rest = wasi.flag_names(kind, bits)
    if rest ~= 0 then names[#names + 1] = ("0x%x"):format(rest) end
    return #names > 0 and table.concat(names, "|") or "0"
  end
end

local function rights_text(bits)
  local all = wasi.flags.rights
  local names, rest = wasi.flag_names("rights", bits)
  if rest == 0 and #names == #all then return "ALL" end
  if rest ~= 0 or #names <= #all // 2 then return flags("rights")(nil, bits) end
  return ("~[%s]"):format(table.concat(wasi.flag_names("rights", ~bits & (1 << #all) - 1), "|"))
end

-- Most rights: ~[those that are missing]; there are thirty. A guest uses few sets of them, again and again.
local known_rights = setmetatable({}, { __mode = "v" })

local function rights(_, bits)
  local kept = known_rights[bits]
  if not kept then
    kept = { rights_text(bits) }
    known_rights[bits] = kept
  end
  return kept[1]
end

local function enum(kind)
  return function(view, value) return wasi.name(kind, value, view.is_unstable) or ("%d"):format(value) end
end

--- 2024-01-02T03:04:05.5Z of nanoseconds since 1970.
local function moment(ns)
  local seconds, rest = ns // 1000000000, ns % 1000000000
  local fraction = rest > 0 and ("." .. ("%09d"):format(rest):gsub("0+$", "")) or ""
  return os.date("!%Y-%m-%dT%H:%M:%S", seconds) .. fraction .. "Z"
end

--- 1.5s, 20ms, 3us, 7ns.
local function duration(ns)
  if ns < 0 then return ("%d"):format(ns) end
  for _, unit in ipairs({ { 1000000000, "s" }, { 1000000, "ms" }, { 1000, "us" } }) do
    if ns >= unit[1] then
      local fraction = (("%0" .. #tostring(unit[1]) - 1 .. "d"):format(ns % unit[1])):gsub("0+$", "")
      return ("%d%s%s"):format(ns // unit[1], #fraction > 0 and "." .. fraction or "", unit[2])
    end
  end
  return ("%dns"):format(ns)
end

-- ---- lists ----
local function list(items, total)
  if total > #items then items[#items + 1] = "..." end
  return "[" .. table.concat(items, ", ") .. "]"
end

local function string_at(view, address, size)
  if not wasi.holds(view.memory, address, size) then return nil end
  return text.quote(wasi.bytes(view.memory, address, math.min(size, view.most + 4)), view.most)
end

--- A string by its address and size; where it lies outside, these.
function values.string(view, address, size)
  size = size & 0xffffffff
  return string_at(view, address, size) or ("%s+%d"):format(values.pointer(view, address), size)
end

--- Buffers [{"text", 4}]; `filled` (how many bytes in all) cuts what is shown of them. nil: they lie outside.
function values.buffers(view, address, count, filled)
  local buffers, items = wasi.buffers(view.memory, address, count, ITEMS_MOST), {}
  if not buffers then return nil end
  for i, buffer in ipairs(buffers) do
    local at, size = table.unpack(buffer)
    local part = filled and math.min(filled, size) or size
    filled = filled and filled - part
    items[i] = ("{%s, %d}"):format(string_at(view, at, part) or values.pointer(view, at), size)
  end
  return list(items, count & 0xffffffff)
end

--- The strings whose addresses stand in an array, as args_get writes them; nil where one lies outside.
function values.strings(view, address, count)
  local items = {}
  for i = 1, math.min(count, ITEMS_MOST) do
    local at = wasi.result("size", view.memory, address + 4 * (i - 1))
    local found, bytes = pcall(function() return view.memory:cstring(at) end)
    if not found then return nil end
    items[i] = text.quote(bytes, view.most)
  end
  return list(items, count)
end

--- [{".", DIRECTORY}, …] of fd_readdir.
function values.entries(view, address, size)
  local entries, items = wasi.entries(view.memory, address, size), {}
  if not entries then return nil end
  for i = 1, math.min(#entries, ITEMS_MOST) do
    local entry = entries[i]
    local name = entry.name and text.quote(entry.name, view.most) or "..."
    items[i] = ("{%s, %s}"):format(name, wasi.enums.filetype[entry.type] or entry.type)
  end
  return list(items, #entries)
end

local function subscription(view, item)
  if item.type ~= 0 then
    return ("{%s, %s}"):format(wasi.enums.eventtype[item.type] or item.type, values.descriptor(view, item.fd))
  end
  local is_absolute = item.flags & 1 ~= 0
  local timeout = is_absolute and item.id == 0 and moment(item.timeout) or duration(item.timeout)
  return ("{clock, %s, %s%s}"):format(wasi.enums.clockid[item.id] or item.id, timeout, is_absolute and ", ABSTIME" or "")
end

local function event(_, item)
  local parts = { wasi.enums.eventtype[item.type] or item.type }
  if item.errno ~= 0 then parts[#parts + 1] = wasi.errno(item.errno) or item.errno end
  if item.errno == 0 and item.type ~= 0 then parts[#parts + 1] = ("%d bytes"):format(item.bytes) end
  if item.flags & 1 ~= 0 then parts[#parts + 1] = "HANGUP" end
  return "{" .. table.concat(parts, ", ") .. "}"
end

local function array(view, address, count, size, read, show)
  local items = {}
  count = count & 0xffffffff
  if not wasi.holds(view.memory, address, count * size) then return nil end
  for i = 1, math.min(count, ITEMS_MOST) do
    items[i] = show(view, read(view.memory, address + size * (i - 1), view.is_unstable))
  end
  return list(items, count)
end

--- [{clock, monotonic, 2ms}, {fd_read, 0<stdin>}]
function values.subscriptions(view, address, count)
  return array(view, address, count, wasi.subscription_size(view.is_unstable), wasi.subscription, subscription)
end

--- [{fd_read, 5 bytes}]
function values.events(view, address, count) return array(view, address, count, wasi.event_size, wasi.event, event) end

-- ---- structures ----
local filetype = enum("filetype")

--- kind → function(view, address) → text, or nil where it lies outside
values.structures = {
  fdstat = function(view, address)
    local stat = wasi.structures.fdstat(view.memory, address)
    return stat and ("{%s, flags=%s, rights=%s, inheriting=%s}"):format(filetype(view, stat.type),
      flags("fdflags")(view, stat.flags), rights(view, stat.base), rights(view, stat.inheriting))
  end,
  filestat = function(view, address)
    local stat = wasi.structures.filestat(view.memory, address, view.is_unstable)
    return stat and ("{%s, size=%d, mtim=%s}"):format(filetype(view, stat.type), stat.size, moment(stat.mtim))
  end,
  prestat = function(view, address)
    local stat = wasi.structures.prestat(view.memory, address)
    return stat and (stat.tag == 0 and "{dir, name_len=%d}" or "{%d}"):format(stat.tag == 0 and stat.length or stat.tag)
  end,
}

--- kind → function(view, value) → text, for the params of one number
values.params = {
  number = values.number, size = values.size, ptr = values.pointer, fd = values.descriptor, rights = rights,
  timestamp = values.unsigned, filesize = values.unsigned, filedelta = values.number, dircookie = values.unsigned,
  clockid = enum("clockid"), whence = enum("whence"), advice = enum("advice"), signal = enum("signal"),
}
for kind in pairs(wasi.flags) do values.params[kind] = values.params[kind] or flags(kind) end

--- kind → function(view, address) → text or nil, for the results of one number
values.results = {}
for _, kind in ipairs({ "size", "fd", "filesize", "timestamp", "roflags" }) do
  values.results[kind] = function(view, address)
    local value = wasi.result(kind, view.memory, address)
    return value and values.params[kind](view, value)
  end
end

return values
