-- SPDX-License-Identifier: MIT
--- strace's style=wazero: the lines of wazero's logging listener, byte for byte, its oddities included: strings are not
-- escaped, a clock's resolution is cut to 32 bits, fd_fdstat_get's rights to 16, the roflags of sock_recv are read from
-- the pointer, and some results are shown as pointers.
--
-- `wazero.factory(scopes, hosts_only, write)` gives a factory for lunette.factory.

local text = require("lunette.strace.text")
local wasi = require("lunette.wasi")

local wazero = {}

-- ---- which functions ----
wazero.scopes = { "all", "clock", "filesystem", "memory", "poll", "proc", "random", "sock" }

-- What the hosts of other toolchains call their functions.
local env_names = { abort = "~lib/builtins/abort", trace = "~lib/builtins/trace", seed = "~lib/builtins/seed" }
local env_scopes = { abort = "proc", seed = "random", emscripten_notify_memory_growth = "memory" }
local wasi_scopes = { poll_oneoff = "poll", proc_exit = "proc", random_get = "random" }
local prefix_scopes = { clock = "clock", path = "filesystem", fd = "filesystem", sock = "sock" }

local function scope_of(definition)
  local name = definition.name
  if definition.own_module == "wasi_snapshot_preview1" then
    return wasi_scopes[name] or prefix_scopes[name:match("^(%a+)_")]
  end
  if definition.own_module == "env" then return env_scopes[definition.is_host and name or definition.exports[1]] end
  return nil
end

-- ---- values ----
local function hex(value) return ("%016x"):format(value) end

local function string_at(memory, address, size)
  return wasi.bytes(memory, address, size & 0xffffffff) or ("OOM(%d,%d)"):format(address & 0xffffffff, size & 0xffffffff)
end

local function names(kind, bits)
  local list = wasi.flag_names(kind, bits & 0x1fffffff)
  return table.concat(list, "|")
end

local function filetype(number) return wasi.enums.filetype[number] or ("filetype(%d)"):format(number) end

-- type → function(value, bits) → text; `bits` gives the raw ones.
local values = {
  i32 = function(value) return ("%d"):format(value) end,
  i64 = function(value) return ("%d"):format(value) end,
  f32 = function(value) return text.go_float(value, true) end,
  f64 = function(value) return text.go_float(value, false) end,
  v128 = function(value) return ("%016x%016x"):format(string.unpack("<i8 i8", value)) end,
  funcref = function(_, bits) return hex(bits()) end,
  externref = function(_, bits) return hex(bits()) end,
}

local function value_of(call, i, kind, value)
  return values[kind](value, function() return (call:bits(i)) end)
end

-- ---- any function ----
-- The names of the params: of a guest's function only where as many locals as it has params have one; then a hole is "".
local function name_list(definition)
  local given, list = definition.param_names, {}
  if definition.is_host and next(given) == nil then return list end
  if not definition.is_host and definition.named_locals < #definition.params then return list end
  for i = 1, #definition.params do list[i] = (given[i] or "") .. "=" end
  return list
end

local function plain_params(definition)
  local labels, types = name_list(definition), definition.params
  return function(call, ...)
    local parts = { ... }
    for i, kind in ipairs(types) do parts[i] = (labels[i] or "") .. value_of(call, i, kind, parts[i]) end
    return table.concat(parts, ",")
  end
end

local function plain_results(definition)
  local types = definition.results
  local label = definition.own_module == "env" and definition.is_host and definition.name == "seed" and "rand=" or ""
  return function(call, _, ...)
    local parts = { ... }
    for i, kind in ipairs(types) do parts[i] = label .. value_of(call, i, kind, parts[i]) end
    return parts
  end
end

-- ---- WASI ----
-- kind → function(value, memory, next value) → text, for params that are not shown as numbers
local params = {
  path = function(value, memory, size) return string_at(memory, value, size) end,
  clockid = function(value) return value >= 0 and value <= 1 and wasi.enums.clockid[value] or ("%d"):format(value) end,
  siflags = function(value) return value == 0 and "" or ("%d"):format(value & 0xffffffff) end,
}
for kind in pairs(wasi.flags) do
  params[kind] = params[kind] or function(value) return names(kind, value) end
end

local function number(format, size)
  return function(memory, address)
    local value = wasi.unpack(memory, address, format, size)
    return value and ("%d"):format(value)
  end
end

-- kind → function(memory, address) → text or nil
local results = {
  size = number("<i4", 4), fd = number("<i4", 4), timestamp = number("<i8", 8), filesize = number("<i8", 8),
  resolution = number("<i4", 4),
  roflags = function(_, address) return names("roflags", address) end,
  fdstat = function(memory, address)
    local stat = wasi.structures.fdstat(memory, address)
    return stat and ("{filetype=%s,fdflags=%s,fs_rights_base=%s,fs_rights_inheriting=%s}"):format(filetype(stat.type),
      names("fdflags", stat.flags), names("rights", stat.base & 0xffff), names("rights", stat.inheriting & 0xffff))
  end,
  filestat = function(memory, address)
    local stat = wasi.structures.filestat(memory, address)
    return stat and ("{filetype=%s,size=%d,mtim=%d}"):format(filetype(stat.type), stat.size, stat.mtim)
  end,
  prestat = function(memory, address)
    local stat = wasi.structures.prestat(memory, address)
    return stat and ("{pr_name_len=%d}"):format(stat.length)
  end,
}

-- Results that are shown as the pointers that they come by.
local by_pointer = { args_sizes_get = true, environ_sizes_get = true, fd_tell = true }
local own_names = { sock_accept = { opened_fd = "fd" } }

-- Which params are shown as such, which as results: lists of { index, label, show }.
local function split(row)
  local given, taken = {}, {}
  local i = 1
  while i <= #row.kinds do
    local kind, name = row.kinds[i], row.params[i]
    local result = kind:match("^=(.*)$")
    if result and by_pointer[row.name] then
      given[#given + 1] = { i, "result." .. name .. "=", values.i32 }
    elseif result then
      name = own_names[row.name] and own_names[row.name][name] or name
      taken[#taken + 1] = { i, name .. "=", results[name == "resolution" and name or result] }
    elseif row.name == "fd_prestat_dir_name" and kind == "bytes" then
      taken[#taken + 1] = { i, name .. "=", wasi.bytes }
      i = i + 1
    else
      given[#given + 1] = { i, name .. "=", params[kind] or values[row.types[i]] }
      if kind == "path" then i = i + 1 end
    end
    i = i + 1
  end
  return given, taken
end

local function wasi_params(given)
  return function(call, ...)
    local passed, parts = { ... }, {}
    for k, part in ipairs(given) do
      local i = part[1]
      parts[k] = part[2] .. part[3](passed[i], call.memory, passed[i + 1])
    end
    return table.concat(parts, ",")
  end
end

local function wasi_results(taken)
  return function(call, passed, errno)
    local parts = {}
    for k, part in ipairs(taken) do
      local i = part[1]
      parts[k] = part[2] .. (errno == 0 and part[3](call.memory, passed[i], passed[i + 1]) or "")
    end
    if errno then parts[#parts + 1] = "errno=" .. (wasi.errno(errno) or ("errno(%d)"):format(errno & 0xffffffff)) end
    return parts
  end
end

-- ---- lines ----
local function result_text(parts)
  if #parts == 0 then return "" end
  return #parts == 1 and " " .. parts[1] or " (" .. table.concat(parts, ",") .. ")"
end

local function full_name(definition)
  local name = definition.own_name or "$" .. definition.index
  if definition.is_host and definition.own_module == "env" then name = env_names[name] or name end
  return (definition.own_module or "") .. "." .. name
end

local function never() return false end

-- What is not logged at all: reads and writes of the standard descriptors.
local function is_standard(fd) return fd <= 2 end

--- A factory for lunette.factory: `scopes` is a set of names, `hosts_only` leaves out guest functions that are not exported,
-- `write` takes text.
function wazero.factory(scopes, hosts_only, write)
  local level = 0
  return function(definition)
    if hosts_only and not definition.is_host and #definition.exports == 0 then return nil end
    if not scopes.all and not scopes[scope_of(definition) or ""] then return nil end
    local row = definition.own_module == "wasi_snapshot_preview1" and wasi.row(definition)
    local show_params, show_results = plain_params(definition), plain_results(definition)
    local is_left_out = row and (row.name == "fd_read" or row.name == "fd_write") and is_standard or never
    local keeps = false
    if row then
      local given, taken = split(row)
      keeps = #taken > 0
      show_params, show_results = wasi_params(given), wasi_results(taken)
    end
    local opening = (definition.is_host and "==> " or "--> ") .. full_name(definition) .. "("
    local closing = definition.is_host and "<==" or "<--"
    return {
      before = function(call, ...)
        if is_left_out(...) then
          call.data = false
          return
        end
        write(("\t"):rep(level) .. opening .. show_params(call, ...) .. ")\n")
        level = level + 1
        if keeps then call.data = { ... } end
      end,
      after = function(call, ...)
        local passed = call.data
        if passed == false then return end
        level = level - 1
        write(("\t"):rep(level) .. closing .. result_text(show_results(call, passed, ...)) .. "\n")
      end,
      abort = function(call)
        if call.data ~= false then level = level - 1 end
      end,
    }
  end
end

return wazero
