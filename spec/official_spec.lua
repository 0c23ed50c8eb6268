-- SPDX-License-Identifier: MIT
-- The official test suite of the core specification, every assertion that has a binary module. A suite of an older version
-- is held to what the version that lunette implements says: assertions that were overturned since are expected the other
-- way round. The traced variants of this file load it, and say in spec.support.wast what they do.

local corpus = require("spec.support.corpus")
local files = require("spec.support.files")

-- Folders of the corpus that are run. Their assertions that what lunette implements has overturned are turned round.
local suites = {
  { folder = "v1" },
  { folder = "v2" },
  { folder = "v3/relaxed-simd" },
  { folder = "v3/extended-const" },
  { folder = "v3/tail-call" },
  { folder = "v3/exception-handling" },
  { folder = "v3/exception-handling-legacy" },
  { folder = "v3/multi-memory" },
  { folder = "v3/multi-memory-base" },
  { folder = "v3/memory64" },
  { folder = "v3/core" },
  { folder = "v3/function-references" },
  { folder = "v3/tail-call-refs" },
}

local root = corpus.folder("spec")
if not root then
  it("the official suite", function() pending(corpus.absent) end)
  return
end

local wast = require("spec.support.wast")

local function is_overturned(entry)
  return entry.overturned_by == "2.0" or entry.overturned_by == "3.0"
end

-- Refused for another reason than then: call_indirect's zero byte became a table's index, the zero bytes of memory
-- instructions a memory's, flags of a memory argument got a meaning, and limits and offsets have 64 bits.
local invalid = { kind = "invalid" }
local function lines(kind, ...)
  local by_line = {}
  for _, line in ipairs({ ... }) do by_line[line] = kind end
  return by_line
end
local refused_otherwise = {
  v1 = {
    ["binary.json"] = lines(invalid, 50, 143, 241),
    ["binary-leb128.json"] = lines(invalid, 525, 533, 541, 550, 730, 749, 843, 862),
  },
  v2 = {
    ["binary.json"] = lines(invalid, 126, 224),
    ["align.json"] = lines(invalid, 892, 911, 930, 949, 968),
    ["binary-leb128.json"] = lines(invalid, 526, 534, 542, 551),
  },
}

local function overturned_in(suite)
  local by_file = refused_otherwise[suite.folder] or {}
  for _, entry in ipairs(corpus.json(root .. "/OVERTURNED.json")) do
    if entry.suite == suite.folder and is_overturned(entry) then
      by_file[entry.file] = by_file[entry.file] or {}
      by_file[entry.file][entry.line] = entry
    end
  end
  return by_file
end

local function counted(passed, failed, skipped, lacking)
  local text = ("%d passed, %d failed, %d about the text format left out"):format(passed, failed, skipped)
  return lacking == 0 and text or ("%s, %d that need garbage collection"):format(text, lacking)
end

for _, suite in ipairs(suites) do
  describe(wast.how .. "official suite " .. suite.folder, function()
    local overturned = overturned_in(suite)
    local passed, failed, skipped, lacking = 0, 0, 0, 0

    for _, file in ipairs(files.list(root .. "/" .. suite.folder)) do
      if file:match("%.json$") then
        it(file .. " while every call's pairing is checked (R1)", function()
          local result = wast.run(root .. "/" .. suite.folder, file, overturned[file], true)
          if result.failed > 0 then error(table.concat(result.messages, "\n", 1, math.min(10, #result.messages)), 0) end
        end)

        it(file, function()
          local result = wast.run(root .. "/" .. suite.folder, file, overturned[file])
          passed, failed, skipped = passed + result.passed, failed + result.failed, skipped + result.skipped
          lacking = lacking + result.lacking
          local counts = counted(result.passed, result.failed, result.skipped, result.lacking)
          print(("  %s/%s: %s"):format(suite.folder, file, counts))
          if result.failed > 0 then error(table.concat(result.messages, "\n", 1, math.min(10, #result.messages)), 0) end
        end)
      end
    end

    teardown(function()
      print(("  %s: commands: %s"):format(suite.folder, counted(passed, failed, skipped, lacking)))
    end)
  end)
end
