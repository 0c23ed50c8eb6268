-- SPDX-License-Identifier: MIT
-- The corpus: test data from elsewhere, kept beside the project, not in it. LUNETTE_CORPUS names its folder (default:
-- ../shared/corpus). The folder holds archives and a program `unpack` that lays them out; a folder that holds them laid
-- out already is used as it is.

local command = require("spec.support.command")
local files = require("spec.support.files")
local json = require("dkjson")

local corpus = {}

corpus.absent = "the corpus is not here (LUNETTE_CORPUS or ../shared/corpus)"

local function root()
  local path = os.getenv("LUNETTE_CORPUS") or "../shared/corpus"
  return files.exists(path) and path or nil
end

-- The folder of one archive ("spec", "programs", …), laid out in build/corpus once; nil where there is no corpus.
function corpus.folder(name)
  local path = root()
  if not path then return nil end
  if not files.exists(path .. "/unpack") then
    return files.exists(path .. "/" .. name) and path .. "/" .. name or nil
  end
  files.make("build/corpus")
  -- Spec files run side by side; one of them unpacks, the others wait for it.
  local result = command.run("flock", { "build/corpus/.lock", path .. "/unpack", "build/corpus", name }, { timeout = 300 })
  assert(result.status == 0, result.stderr)
  return "build/corpus/" .. name
end

local have_lpeg, lpeg_json = pcall(json.use_lpeg)
local decode = have_lpeg and lpeg_json.decode or json.decode

-- null reads as nil, numbers without a fraction as integers.
function corpus.json(path)
  local value, _, message = decode(files.read(path))
  return value or error(("%s: %s"):format(path, message), 2)
end

return corpus
