-- SPDX-License-Identifier: MIT
-- The official test suite of the core specification, every assertion that has a binary module. A suite of an older version
-- is held to what the version that lunette implements says: assertions that were overturned since are expected the other
-- way round.

local corpus = require("spec.support.corpus")
local files = require("spec.support.files")

-- Folders of the corpus that are run. Their assertions that what lunette implements has overturned are turned round.
local suites = {
  { folder = "v1" },
  { folder = "v2" },
  { folder = "v3/relaxed-simd" },
  { folder = "v3/extended-const" },
  { folder = "v3/tail-call" },
  { folder = "v3/multi-memory" },
  { folder = "v3/multi-memory-base" },
}

local root = corpus.folder("spec")
if not root then
  it("the official suite", function() pending(corpus.absent) end)
  return
end

local wast = require("spec.support.wast")

local function is_overturned(entry)
  return entry.overturned_by == "2.0" or entry.overturned_by == "3.0" and entry.why:find("^multi%-memory")
end

-- Refused for another reason than then: call_indirect's zero byte became a table's index, the zero bytes of memory
-- instructions a memory's, and flags of a memory argument got a meaning.
local invalid = { kind = "invalid" }
local refused_otherwise = {
  v1 = { ["binary.json"] = { [50] = invalid, [143] = invalid, [241] = invalid } },
  v2 = {
    ["binary.json"] = { [126] = invalid, [224] = invalid },
    ["align.json"] = { [892] = invalid, [911] = invalid, [930] = invalid, [949] = invalid, [968] = invalid },
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

for _, suite in ipairs(suites) do
  describe("official suite " .. suite.folder, function()
    local overturned = overturned_in(suite)
    local passed, failed, skipped = 0, 0, 0

    for _, file in ipairs(files.list(root .. "/" .. suite.folder)) do
      if file:match("%.json$") then
        it(file, function()
          local result = wast.run(root .. "/" .. suite.folder, file, overturned[file])
          passed, failed, skipped = passed + result.passed, failed + result.failed, skipped + result.skipped
          print(("  %s/%s: %d passed, %d failed, %d about the text format left out"):format(suite.folder, file, result.passed,
            result.failed, result.skipped))
          if result.failed > 0 then error(table.concat(result.messages, "\n", 1, math.min(10, #result.messages)), 0) end
        end)
      end
    end

    teardown(function()
      print(("  %s: %d commands passed, %d failed, %d about the text format left out"):format(suite.folder, passed, failed,
        skipped))
    end)
  end)
end
