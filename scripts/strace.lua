-- SPDX-License-Identifier: MIT
-- What does the guest ask of its host, and what does it get?
--
-- A line for each call of a host function: descriptors with their paths, strings, flags, structures, and errors with their
-- text; with time=true also how long it took, in seconds. With summary=true a table of times, calls and errors at the end
-- instead. Groups: file (that is fd and path), clock, poll,
-- proc, random, sock, and other for host functions that are not WASI's; several as groups=file+sock.
--
-- style=wazero prints what wazero's logging listener prints, byte for byte, of the scopes all, clock, filesystem, memory,
-- poll, proc, random, sock: functions=all of all functions, functions=host of host functions and exported ones.

local descriptors = require("lunette.strace.descriptors")
local lines = require("lunette.strace.lines")
local summary = require("lunette.strace.summary")
local wasi = require("lunette.wasi")
local wazero = require("lunette.strace.wazero")

local groups = { "all", "clock", "fd", "file", "other", "path", "poll", "proc", "random", "sock" }

local options = lunette.options({
  groups = { default = "all", choices = groups, several = true, help = "only these groups of host functions" },
  strings = { default = 32, min = 0, help = "how many bytes of a string are shown" },
  time = { default = false, help = "show how long each call took" },
  summary = { default = false, help = "count times, calls and errors instead" },
  style = { default = "lunette", choices = { "lunette", "wazero" }, help = "wazero: as wazero's logging listener prints" },
  functions = { default = "all", choices = { "all", "host" }, help = "style=wazero: all, or host" },
  scopes = { default = "all", choices = wazero.scopes, several = true, help = "style=wazero: only these scopes" },
})

local function write(line) lunette.out:write(line, "\n") end

local function trace_as_wazero()
  local function write_text(text) lunette.out:write(text) end
  local factory = wazero.factory(options.scopes, options.functions == "host", write_text)
  lunette.factory(factory, { where = lunette.where })
end

local function trace()
  local wanted = options.groups
  local function wants(definition)
    local row = wasi.row(definition)
    local group = row and row.group or "other"
    return wanted.all or wanted[group] or wanted.file and (group == "fd" or group == "path")
  end
  if options.summary then
    local counts = summary.new(wants)
    lunette.factory(counts.factory, { where = lunette.where, time = true })
    lunette.at_exit(function() counts.print(write) end)
    return
  end
  local open = descriptors.new()
  local shown = { write = write, most = options.strings, descriptors = open, wants = wants, time = options.time }
  lunette.factory(lines.factory(shown), { where = lunette.where, time = options.time })
  lunette.factory(open.factory)
end

if options.style == "wazero" then trace_as_wazero() else trace() end
