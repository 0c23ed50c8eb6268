-- SPDX-License-Identifier: MIT
--- What WASI preview 1 says about its functions and numbers: the table of functions (core/wasi/calls.def), names of flags
-- and errors, layouts of structures. For whoever shows calls; nothing here knows how they are shown.

local core = require("lunette.core")

local wasi = {}

local modules = { wasi_snapshot_preview1 = true, wasi_unstable = true }

--- All functions: { name=, group=, types=, results=, params={names}, kinds= }, in order, and by name.
wasi.functions = core.wasi_functions()
for _, row in ipairs(wasi.functions) do wasi.functions[row.name] = row end

local function same(a, b)
  if #a ~= #b then return false end
  for i = 1, #a do
    if a[i] ~= b[i] then return false end
  end
  return true
end

--- The row of a definition, if it is one of WASI's functions by name and type.
function wasi.row(definition)
  local row = definition.is_host and modules[definition.module] and wasi.functions[definition.name] or nil
  if not row or not same(row.types, definition.params) or not same(row.results, definition.results) then return nil end
  return row
end

--- Whether it is one of wasi_unstable, whose structures differ.
function wasi.is_unstable(definition) return definition.module == "wasi_unstable" end

-- ---- numbers with names ----
--- Bits from 0 on, by the kind that calls.def gives.
wasi.flags = {
  lookupflags = { "SYMLINK_FOLLOW" },
  oflags = { "CREAT", "DIRECTORY", "EXCL", "TRUNC" },
  fdflags = { "APPEND", "DSYNC", "NONBLOCK", "RSYNC", "SYNC" },
  fstflags = { "ATIM", "ATIM_NOW", "MTIM", "MTIM_NOW" },
  sdflags = { "RD", "WR" },
  riflags = { "RECV_PEEK", "RECV_WAITALL" },
  roflags = { "RECV_DATA_TRUNCATED" },
  siflags = {},
  rights = {
    "FD_DATASYNC", "FD_READ", "FD_SEEK", "FDSTAT_SET_FLAGS", "FD_SYNC", "FD_TELL", "FD_WRITE", "FD_ADVISE", "FD_ALLOCATE",
    "PATH_CREATE_DIRECTORY", "PATH_CREATE_FILE", "PATH_LINK_SOURCE", "PATH_LINK_TARGET", "PATH_OPEN", "FD_READDIR",
    "PATH_READLINK", "PATH_RENAME_SOURCE", "PATH_RENAME_TARGET", "PATH_FILESTAT_GET", "PATH_FILESTAT_SET_SIZE",
    "PATH_FILESTAT_SET_TIMES", "FD_FILESTAT_GET", "FD_FILESTAT_SET_SIZE", "FD_FILESTAT_SET_TIMES", "PATH_SYMLINK",
    "PATH_REMOVE_DIRECTORY", "PATH_UNLINK_FILE", "POLL_FD_READWRITE", "SOCK_SHUTDOWN", "SOCK_ACCEPT",
  },
  eventrwflags = { "HANGUP" },
  subclockflags = { "ABSTIME" },
}

--- Numbers from 0 on.
wasi.enums = {
  clockid = { [0] = "realtime", "monotonic", "process_cputime", "thread_cputime" },
  whence = { [0] = "SET", "CUR", "END" },
  advice = { [0] = "NORMAL", "SEQUENTIAL", "RANDOM", "WILLNEED", "DONTNEED", "NOREUSE" },
  filetype = {
    [0] = "UNKNOWN", "BLOCK_DEVICE", "CHARACTER_DEVICE", "DIRECTORY", "REGULAR_FILE", "SOCKET_DGRAM", "SOCKET_STREAM",
    "SYMBOLIC_LINK",
  },
  eventtype = { [0] = "clock", "fd_read", "fd_write" },
  signal = {
    [0] = "NONE", "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM",
    "TERM", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "POLL", "PWR",
    "SYS",
  },
}

local unstable_whence = { [0] = "CUR", "END", "SET" }

--- The name of a number of that kind, or nil.
function wasi.name(kind, number, is_unstable)
  if kind == "whence" and is_unstable then return unstable_whence[number] end
  return wasi.enums[kind][number]
end

--- The names of the bits that are set, as a list in order of the bits, and the bits that have none.
function wasi.flag_names(kind, bits)
  local names = {}
  for i, name in ipairs(wasi.flags[kind]) do
    if bits & 1 << (i - 1) ~= 0 then
      names[#names + 1] = name
      bits = bits & ~(1 << (i - 1))
    end
  end
  return names, bits
end

-- ---- errors ----
local texts = {
  E2BIG = "argument list too long", EACCES = "permission denied", EADDRINUSE = "address in use",
  EADDRNOTAVAIL = "address not available", EAFNOSUPPORT = "address family not supported", EAGAIN = "try again",
  EALREADY = "connection already in progress", EBADF = "bad file descriptor", EBADMSG = "bad message",
  EBUSY = "device or resource busy", ECANCELED = "operation canceled", ECHILD = "no child processes",
  ECONNABORTED = "connection aborted", ECONNREFUSED = "connection refused", ECONNRESET = "connection reset",
  EDEADLK = "resource deadlock would occur", EDESTADDRREQ = "destination address required",
  EDOM = "argument out of the function's domain", EDQUOT = "quota exceeded", EEXIST = "file exists", EFAULT = "bad address",
  EFBIG = "file too large", EHOSTUNREACH = "host is unreachable", EIDRM = "identifier removed",
  EILSEQ = "illegal byte sequence", EINPROGRESS = "operation in progress", EINTR = "interrupted",
  EINVAL = "invalid argument", EIO = "input or output error", EISCONN = "socket is connected", EISDIR = "is a directory",
  ELOOP = "too many symbolic links", EMFILE = "too many open files", EMLINK = "too many links",
  EMSGSIZE = "message too long", EMULTIHOP = "multihop attempted", ENAMETOOLONG = "file name too long",
  ENETDOWN = "network is down", ENETRESET = "connection aborted by the network", ENETUNREACH = "network unreachable",
  ENFILE = "too many open files in the system", ENOBUFS = "no buffer space available", ENODEV = "no such device",
  ENOENT = "no such file or directory", ENOEXEC = "not an executable format", ENOLCK = "no locks available",
  ENOLINK = "link has been severed", ENOMEM = "not enough memory", ENOMSG = "no message of that type",
  ENOPROTOOPT = "protocol option not available", ENOSPC = "no space left on the device",
  ENOSYS = "function not supported", ENOTCONN = "socket is not connected", ENOTDIR = "not a directory",
  ENOTEMPTY = "directory not empty", ENOTRECOVERABLE = "state not recoverable", ENOTSOCK = "not a socket",
  ENOTSUP = "not supported", ENOTTY = "inappropriate operation for the device", ENXIO = "no such device or address",
  EOVERFLOW = "value too large", EOWNERDEAD = "previous owner died", EPERM = "operation not permitted",
  EPIPE = "broken pipe", EPROTO = "protocol error", EPROTONOSUPPORT = "protocol not supported",
  EPROTOTYPE = "wrong type of protocol for the socket", ERANGE = "result too large", EROFS = "read-only file system",
  ESPIPE = "invalid seek", ESRCH = "no such process", ESTALE = "stale file handle", ETIMEDOUT = "connection timed out",
  ETXTBSY = "text file busy", EXDEV = "cross-device link", ENOTCAPABLE = "capabilities insufficient",
}

--- 8 → "EBADF", "bad file descriptor"; above the last nil. The text is nil for ESUCCESS.
function wasi.errno(number)
  local name = core.wasi_errno(number)
  return name, name and texts[name]
end

-- ---- reading the guest's memory ----
--- Whether there is a memory that holds so many bytes at an address (an i32 as Lua shows it).
function wasi.holds(memory, address, size)
  return memory ~= nil and size >= 0 and (address & 0xffffffff) + size <= memory:size()
end

--- The bytes there; nil where they lie outside, or there is no memory.
function wasi.bytes(memory, address, size)
  return wasi.holds(memory, address, size) and memory:string(address & 0xffffffff, size) or nil
end

--- The values there by a format of string.unpack with that many bytes; nothing where they lie outside.
function wasi.unpack(memory, address, format, size)
  local bytes = wasi.bytes(memory, address, size)
  if bytes then return string.unpack(format, bytes) end
end

-- kind → format and size of a plain result
local plain = {
  size = { "<I4", 4 }, fd = { "<i4", 4 }, filesize = { "<i8", 8 }, timestamp = { "<i8", 8 }, roflags = { "<I2", 2 },
}

--- A result of that kind, or nil.
function wasi.result(kind, memory, address)
  local layout = plain[kind]
  return (wasi.unpack(memory, address, layout[1], layout[2]))
end

--- Structures by kind: function(memory, address, is_unstable) → table, or nil where it lies outside.
wasi.structures = {}

function wasi.structures.fdstat(memory, address)
  local kind, flags, base, inheriting = wasi.unpack(memory, address, "<I1 x I2 xxxx i8 i8", 24)
  return kind and { type = kind, flags = flags, base = base, inheriting = inheriting }
end

function wasi.structures.filestat(memory, address, is_unstable)
  local size = is_unstable and 56 or 64
  local format = is_unstable and "<i8 i8 I1 xxx I4 i8 i8 i8 i8" or "<i8 i8 I1 xxxxxxx i8 i8 i8 i8 i8"
  local dev, ino, kind, links, length, atim, mtim, ctim = wasi.unpack(memory, address, format, size)
  return dev and { dev = dev, ino = ino, type = kind, links = links, size = length, atim = atim, mtim = mtim, ctim = ctim }
end

function wasi.structures.prestat(memory, address)
  local tag, length = wasi.unpack(memory, address, "<I1 xxx I4", 8)
  return tag and { tag = tag, length = length }
end

--- Pairs { address, size } of an array of buffers, `most` of them; nil where it lies outside.
function wasi.buffers(memory, address, count, most)
  count = count & 0xffffffff
  if not wasi.holds(memory, address, count * 8) then return nil end
  local list, text = {}, memory:string(address & 0xffffffff, math.min(count, most) * 8)
  for i = 1, #text, 8 do list[#list + 1] = { string.unpack("<I4 I4", text, i) } end
  return list
end

--- { next=, ino=, type=, name= (nil: cut off) } of each entry that fd_readdir wrote; nil where they lie outside.
function wasi.entries(memory, address, size)
  local text = wasi.bytes(memory, address, size)
  local list, at = {}, 1
  while text and at + 23 <= #text do
    local next_cookie, ino, length, kind = string.unpack("<i8 i8 I4 I1", text, at)
    local name = at + 23 + length <= #text and text:sub(at + 24, at + 23 + length) or nil
    list[#list + 1] = { next = next_cookie, ino = ino, type = kind, name = name }
    at = at + 24 + length
  end
  return text and list
end

--- The size of a subscription of poll_oneoff, and of an event.
function wasi.subscription_size(is_unstable) return is_unstable and 56 or 48 end
wasi.event_size = 32

--- One subscription: { type=, fd= } or { type=0, id=, timeout=, flags= }; nil where it lies outside.
function wasi.subscription(memory, address, is_unstable)
  local text = wasi.bytes(memory, address, wasi.subscription_size(is_unstable))
  if not text then return nil end
  local kind = text:byte(9)
  if kind ~= 0 then return { type = kind, fd = (string.unpack("<i4", text, 17)) } end
  local id, timeout, _, flags = string.unpack("<I4 xxxx i8 i8 I2", text, is_unstable and 25 or 17)
  return { type = kind, id = id, timeout = timeout, flags = flags }
end

--- One event: { errno=, type=, bytes=, flags= }; nil where it lies outside.
function wasi.event(memory, address)
  local errno, kind, bytes, flags = wasi.unpack(memory, address, "<xxxxxxxx I2 I1 xxxxx i8 I2 xxxxxx", wasi.event_size)
  return errno and { errno = errno, type = kind, bytes = bytes, flags = flags }
end

return wasi
