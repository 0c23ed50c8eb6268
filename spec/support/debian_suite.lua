-- SPDX-License-Identifier: MIT
-- Runs a folder of converted suites and prints the sums:   debian_suite.lua FOLDER NAME…   The names are those of files that
-- could not be converted. Ends with status 1 where an assertion failed.

local files = require("spec.support.files")
local wast = require("spec.support.wast")

local folder = table.remove(arg, 1)
-- Of version 1.0, and overturned by 2.0 or 3.0, or binaryen's own and at odds with the specification; by line.
local overturned = {
  ["binary"] = { 50, 143, 163, 183, 202, 221, 241, 260, 279, 297, 315 },
  ["binary-leb128"] = { 217, 225, 404, 461, 525, 533, 541, 550, 730, 749, 843, 862 },
  ["func"] = { 493, 497 },
  ["imports"] = { 260, 316, 493, 497, 501 },
  ["linking"] = { 207, 228, 236, 239, 248, 299, 335, 342, 345, 354 },
  ["memory"] = { 8, 9 },
  ["memory64"] = { 8, 9 },
  ["type"] = { 53, 57 },
  ["unreached-invalid"] = { 539 },
}

-- Binaryen's own: older copies that want another host module, and wordings of its own.
local function is_own(name)
  return name:find("^old_") or name == "ref_func" or name == "call_indirect_refnull" or name == "call_indirect_sig_mismatch"
end

local function is_overturned(name, message)
  local line = tonumber(message:match("^[^:]+:(%d+):"))
  for _, known in ipairs(overturned[name] or {}) do
    if line == known then return true end
  end
  return false
end

local aside, own = 0, {}
local passed, failed, skipped, count = 0, 0, 0, 0

for _, file in ipairs(files.list(folder)) do
  local name = file:match("^(.*)%.json$")
  if name and is_own(name) then
    own[#own + 1] = name
  elseif name then
    local good, result = pcall(wast.run, folder, file)
    if not good then result = { passed = 0, failed = 1, skipped = 0, messages = { file .. ": " .. tostring(result) } } end
    count = count + 1
    passed, skipped = passed + result.passed, skipped + result.skipped
    for _, message in ipairs(result.messages) do
      if is_overturned(name, message) then
        aside = aside + 1
      else
        failed = failed + 1
        print(message)
      end
    end
  end
end

print(("%d files; left out, for wast2json can't convert them: %d (%s)"):format(count, #arg, table.concat(arg, " ")))
print(("left out, for they are binaryen's own: %d (%s)"):format(#own, table.concat(own, " ")))
print(("%d assertions that later versions have overturned"):format(aside))
print(("%d passed, %d failed, %d skipped (about the text format)"):format(passed, failed, skipped))
os.exit(failed == 0 and passed > 0, true)
