-- SPDX-License-Identifier: MIT
-- Damaged and hostile modules: each is refused, traps or runs as other engines agree that it must, and none of them harms
-- the process.

local command = require("spec.support.command")
local corpus = require("spec.support.corpus")
local files = require("spec.support.files")

local root = corpus.folder("broken")
if not root then
  it("damaged modules", function() pending(corpus.absent) end)
  return
end

local lunette = require("lunette")

-- The host that these modules may import from.
local function host(session)
  return session.host("host", {
    func = { params = {}, results = {}, function() end },
    mem = session.memory({ min = 1, max = 2 }),
    table = session.table({ type = "funcref", min = 10, max = 20 }),
    global = session.global({ type = "i32", value = 42 }),
  })
end

local wat = require("spec.support.wat")

local script = [[
  lunette.host("script", { go = { params = {}, results = {}, function()
    lunette.instantiate(lunette.module({ file = %q }))
  end } })
]]

local kinds = { exhausted = "exhaustion" }

-- How it ended: "runs", or the kind of the failure.
local function outcome(bytes)
  local session <close> = lunette.session({})
  local ok, err = pcall(function()
    local instance = session.instantiate(session.module(bytes), { imports = { host = host(session) } })
    if instance.exports.run then instance:invoke("run") end
  end)
  if ok then return "runs" end
  if type(err) == "string" then return err end
  return kinds[err.kind] or err.kind, err.message
end

local function exports_run(bytes)
  local session <close> = lunette.session({})
  local ok, module = pcall(session.module, bytes)
  for _, port in ipairs(ok and module.exports or {}) do
    if port.name == "run" then return true end
  end
  return false
end

-- The same through the command, for what does not end by itself. It wants an entry; without one the module is made from a
-- script of another guest.
local function timed(path)
  local args = { "run", "--timeout", "100ms", "--invoke", "run", path }
  local folder <close> = files.temporary()
  if not exports_run(files.read(path)) then
    files.write(folder .. "/guest.wasm", wat('(module (import "script" "go" (func $go)) (func (export "_start") (call $go)))'))
    args = { "run", "--timeout", "100ms", "-e", script:format(path), folder .. "/guest.wasm" }
  end
  local result = command.run(command.lunette, args)
  if result.status == 124 then return "timeout" end
  for _, kind in ipairs({ "malformed", "invalid", "unlinkable", "trap", "exhausted" }) do
    if result.stderr:find(kind, 1, true) then return kinds[kind] or kind, result.stderr end
  end
  return "status " .. result.status, result.stderr
end

-- The notes are 2.0's; with several memories (3.0) an alignment up to 2^63 is well-formed.
local later = { ["op_align_63.wasm"] = "invalid" }

for _, note in ipairs(corpus.json(root .. "/NOTES.json")) do
  it(("%s: %s"):format(note.file, note.what), function()
    local path = root .. "/" .. note.file
    local got, message
    if note.expect == "timeout" then
      got, message = timed(path)
    else
      got, message = outcome(files.read(path))
    end
    if got == (later[note.file] or note.expect) then return end
    for _, fine in ipairs(note.also_fine or {}) do
      if got == fine then return end
    end
    error(("expected %s (%s), got %s: %s"):format(note.expect, note.text, got, message), 0)
  end)
end
