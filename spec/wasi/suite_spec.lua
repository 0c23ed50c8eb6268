-- SPDX-License-Identifier: MIT
-- The official tests of WASI preview 1 (wasi-testsuite), as the corpus has them, each with a fresh copy of its folder.

local command = require("spec.support.command")
local corpus = require("spec.support.corpus")
local files = require("spec.support.files")

local root = corpus.folder("wasi")
if not root then
  it("the official tests of WASI", function() pending(corpus.absent) end)
  return
end

local function passes(path, case)
  local folder <close> = files.temporary()
  local args = { "run" }
  for guest, fixture in pairs(case.dirs) do
    files.copy(path:match("^(.*)/") .. "/" .. fixture, folder .. "/dir")
    args[#args + 1] = "--dir"
    args[#args + 1] = folder .. "/dir::" .. guest
  end
  for name, value in pairs(case.env) do
    args[#args + 1] = "--env"
    args[#args + 1] = name .. "=" .. value
  end
  args[#args + 1] = path .. ".wasm"
  for _, arg in ipairs(case.args) do args[#args + 1] = arg end
  local result = command.run(command.lunette, args)
  assert.equal(case.exit_code, result.status, result.stderr)
  if case.stdout then assert.equal(case.stdout, result.stdout) end
  if case.stderr then assert.equal(case.stderr, result.stderr) end
end

for _, language in ipairs(files.list(root)) do
  for _, file in ipairs(language:find("%.") and {} or language == "LICENSE" and {} or files.list(root .. "/" .. language)) do
    local name = file:match("^(.*)%.json$")
    if name then
      local path = root .. "/" .. language .. "/" .. name
      it(("the official test %s/%s passes"):format(language, name), function() passes(path, corpus.json(path .. ".json")) end)
    end
  end
end
