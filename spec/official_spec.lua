-- SPDX-License-Identifier: MIT
-- The official test suite of the core specification, every assertion that has a binary module. A suite of an older version
-- is held to what the version that lunette implements says: assertions that were overturned since are expected the other
-- way round.

local corpus = require("spec.support.corpus")
local files = require("spec.support.files")

-- Folders of the corpus that are run, and up to which version their overturned assertions are turned round.
local suites = {
  { folder = "v1", implemented = { ["2.0"] = true } },
  { folder = "v2", implemented = {} },
  { folder = "v3/relaxed-simd", implemented = {} },
  { folder = "v3/extended-const", implemented = {} },
  { folder = "v3/tail-call", implemented = {} },
}

local root = corpus.folder("spec")
if not root then
  it("the official suite", function() pending(corpus.absent) end)
  return
end

local wast = require("spec.support.wast")

-- Refused by 2.0 for another reason: call_indirect's zero byte became a table's index.
local refused_otherwise = { v1 = { ["binary.json"] = { [50] = { kind = "invalid" } } } }

local function overturned_in(suite)
  local by_file = refused_otherwise[suite.folder] or {}
  for _, entry in ipairs(corpus.json(root .. "/OVERTURNED.json")) do
    if entry.suite == suite.folder and suite.implemented[entry.overturned_by] then
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
