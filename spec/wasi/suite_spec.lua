-- SPDX-License-Identifier: MIT
-- The official tests of WASI preview 1 (wasi-testsuite), as the corpus has them, each with a fresh copy of its folder: by the
-- command, and from Lua with paths resolved component by component, as on a kernel without openat2.

local command = require("spec.support.command")
local corpus = require("spec.support.corpus")
local files = require("spec.support.files")
local guest = require("spec.support.guest")

local root = corpus.folder("wasi")
if not root then
  it("the official tests of WASI", function() pending(corpus.absent) end)
  return
end

local function passes(path, case)
  local folder <close> = files.temporary()
  local args = { "run" }
  for inside, fixture in pairs(case.dirs) do
    files.copy(path:match("^(.*)/") .. "/" .. fixture, folder .. "/dir")
    args[#args + 1] = "--dir"
    args[#args + 1] = folder .. "/dir::" .. inside
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

local function passes_by_component(path, case)
  local folder <close> = files.temporary()
  local settings = { args = { path:match("[^/]+$") .. ".wasm" }, env = case.env, dirs = {}, stdin = "/dev/null",
    stdout = folder .. "/stdout", stderr = folder .. "/stderr", force_fallback = true }
  table.move(case.args, 1, #case.args, 2, settings.args)
  for name, fixture in pairs(case.dirs) do
    files.copy(path:match("^(.*)/") .. "/" .. fixture, folder .. "/dir")
    table.insert(settings.dirs, folder .. "/dir::" .. name)
  end
  local lunette = guest.session()
  local status = 0
  local good, err = pcall(function()
    lunette.instantiate(lunette.module({ file = path .. ".wasm" }), { wasi = settings }):invoke("_start")
  end)
  if not good then
    assert.equal("exit", err.kind, tostring(err))
    status = err.code & 255
  end
  guest.close_all()
  assert.equal(case.exit_code, status, files.read(folder .. "/stderr"))
  if case.stdout then assert.equal(case.stdout, files.read(folder .. "/stdout")) end
  if case.stderr then assert.equal(case.stderr, files.read(folder .. "/stderr")) end
end

for _, language in ipairs(files.list(root)) do
  for _, file in ipairs(language:find("%.") and {} or language == "LICENSE" and {} or files.list(root .. "/" .. language)) do
    local name = file:match("^(.*)%.json$")
    if name then
      local path = root .. "/" .. language .. "/" .. name
      it(("the official test %s/%s passes"):format(language, name), function() passes(path, corpus.json(path .. ".json")) end)
      it(("the official test %s/%s passes without openat2"):format(language, name), function()
        passes_by_component(path, corpus.json(path .. ".json"))
      end)
    end
  end
end
