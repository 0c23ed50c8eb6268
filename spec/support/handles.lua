-- SPDX-License-Identifier: MIT
-- What a spec file must not leave behind: open descriptors. Sessions are closed by whoever made them; what the collector
-- owns is collected before the comparison.

local lfs = require("lfs")

local uv = require("luv")

local handles = {}

-- libuv opens what it keeps for good with the first pipe and the first process.
uv.new_pipe(false):close()
uv.spawn("true", { args = {} }, function() end)
uv.run()

-- The process's open descriptors: number → what it points to.
function handles.open()
  local found = {}
  for name in lfs.dir("/proc/self/fd") do
    local target = lfs.symlinkattributes("/proc/self/fd/" .. name, "target")
    -- The folder being listed is itself open.
    if tonumber(name) and target and not target:match("^/proc/%d+/fd$") then found[name] = target end
  end
  return found
end

-- A sentence about what is open now and was not before, or nil.
function handles.left(before)
  local lunette = package.loaded["lunette"]
  if type(lunette) == "table" and type(lunette.close) == "function" then lunette.close() end
  collectgarbage()
  collectgarbage()
  local left = {}
  for number, target in pairs(handles.open()) do
    if before[number] ~= target then left[#left + 1] = number .. " → " .. target end
  end
  if #left == 0 then return nil end
  table.sort(left)
  return "descriptors left open: " .. table.concat(left, ", ")
end

return handles
