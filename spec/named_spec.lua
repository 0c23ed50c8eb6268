-- SPDX-License-Identifier: MIT
-- Each rule of the listener contract, R1 to R24, has a spec in C and one in Lua that names it; so has each flaw, F1 to F24, in
-- one of the two. A spec's name is what it is called where it fails: the text of describe and it, and in C a text of its own.

local files = require("spec.support.files")
local lfs = require("lfs")

local function each_file(folder, ending, visit)
  for _, name in ipairs(files.list(folder)) do
    local path = folder .. "/" .. name
    if lfs.attributes(path, "mode") == "directory" then each_file(path, ending, visit)
    elseif name:sub(-#ending) == ending then visit(files.read(path)) end
  end
end

local function note(text, names)
  for name in text:gmatch("%f[%w]([RF]%d+)%f[^%w]") do names[name] = true end
  -- "R1–R19" is a name of all of them.
  for letter, first, last in text:gmatch("%f[%w]([RF])(%d+)–%1(%d+)") do
    for i = tonumber(first), tonumber(last) do names[letter .. i] = true end
  end
end

-- The names of specs in Lua: what stands in the line of a describe or an it, but that is no program in C.
local function named_in_lua()
  local names = {}
  each_file("spec", "_spec.lua", function(text)
    for line in text:gmatch("[^\n]+") do
      if line:match("^%s*describe%(") or line:match("^%s*it%(") then
        if not line:find("in C", 1, true) then note(line, names) end
      end
    end
  end)
  return names
end

local function named_in_c()
  local names = {}
  each_file("spec/c", ".c", function(text)
    for literal in text:gmatch('"([RF]%d[^"\n]*)"') do note(literal, names) end
  end)
  return names
end

local function missing(letter, ...)
  local list = {}
  for i = 1, 24 do
    local known = false
    for _, names in ipairs({ ... }) do known = known or names[letter .. i] end
    if not known then list[#list + 1] = letter .. i end
  end
  return list
end

describe("each rule of the listener contract", function()
  it("is named by a spec in Lua", function() assert.same({}, missing("R", named_in_lua())) end)
  it("is named by a spec in C", function() assert.same({}, missing("R", named_in_c())) end)
end)

describe("each flaw that must not come back", function()
  it("is named by a spec", function() assert.same({}, missing("F", named_in_lua(), named_in_c())) end)
end)
