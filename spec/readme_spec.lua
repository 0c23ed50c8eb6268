-- SPDX-License-Identifier: MIT
-- What README.md shows is what one gets: its listings are run as they stand, both streams on one terminal.

local command = require("spec.support.command")
local files = require("spec.support.files")

local examples = command.build .. "/examples/"
if not files.exists(examples .. "calculator.wasm") then
  it("the listings", function() pending("clang for wasm32-wasi was not here when the examples were built") end)
  return
end

-- A listing is a run of indented lines; "$ " begins a command, the rest is what it prints.
local function listings(text)
  local found, current = {}, nil
  for line in (text .. "\n"):gmatch("(.-)\n") do
    local indented = line:match("^    (.*)")
    if not indented then
      current = nil
    elseif indented:sub(1, 2) == "$ " then
      current = { line = indented:sub(3), output = "" }
      found[#found + 1] = current
    elseif current then
      current.output = current.output .. indented .. "\n"
    end
  end
  return found
end

describe("README.md", function()
  it("shows what its commands print", function()
    local folder <close> = files.temporary()
    local ran = 0
    for _, listing in ipairs(listings(files.read("README.md"))) do
      local file = listing.line:match("^cat (%S+)$")
      if file then
        files.write(folder.path .. "/" .. file, listing.output)
      else
        local line = ("cd %s && ln -sf %s*.wasm . && { %s; } 2>&1"):format(folder.path, examples, listing.line)
        local path = command.build .. "/bin:" .. os.getenv("PATH")
        local result = command.run("sh", { "-c", line }, { env = { PATH = path } })
        assert.equal(listing.output, result.stdout, listing.line)
        ran = ran + 1
      end
    end
    assert.is_true(ran >= 2)
  end)
end)
