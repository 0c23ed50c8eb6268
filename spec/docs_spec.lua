-- SPDX-License-Identifier: MIT
-- What README.md and the pages of docs/ and examples/ show is what one gets: their listings are run as they stand, both
-- streams on one terminal.

local command = require("spec.support.command")
local environment = require("spec.support.lua")
local files = require("spec.support.files")
local uv = require("luv")

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

local pages = { "README.md" }
for _, from in ipairs({ "docs", "examples" }) do
  for _, name in ipairs(files.list(from)) do
    if name:find("%.md$") then pages[#pages + 1] = from .. "/" .. name end
  end
end

for _, page in ipairs(pages) do
  describe(page, function()
    local all = listings(files.read(page))
    local folder

    setup(function() folder = files.temporary() end)
    teardown(function() files.remove(folder.path) end)

    -- In order: a page's later listings may use what earlier ones have left.
    it("shows what its commands print", function()
      local bin <close> = files.temporary()
      local env = environment({ PATH = ("%s:%s/bin:%s"):format(bin.path, command.build, os.getenv("PATH")) })
      if env.LD_PRELOAD then -- for Lua alone, not for what else a listing runs
        local text = ('#!/bin/sh\nLD_PRELOAD=%s exec /usr/bin/lua5.4 "$@"\n'):format(env.LD_PRELOAD)
        files.write(bin .. "/lua5.4", text)
        assert(uv.fs_chmod(bin .. "/lua5.4", 493))
        env.LD_PRELOAD = nil
      end
      for _, listing in ipairs(all) do
        local file = listing.line:match("^cat (%S+)$")
        if file and not files.exists(folder.path .. "/" .. file) then
          files.write(folder.path .. "/" .. file, listing.output)
        else
          local line = ("cd %s && ln -sf %s*.wasm . && { %s; } 2>&1"):format(folder.path, examples, listing.line)
          local result = command.run("sh", { "-c", line }, { env = env })
          assert.equal(listing.output, result.stdout, listing.line)
        end
      end
    end)
  end)
end

it("the one-liners are twenty", function() assert.equal(20, #listings(files.read("docs/one-liners.md"))) end)
