-- SPDX-License-Identifier: MIT
-- Broken debug sections cost their symbols only: functions keep their names, the guest runs, and asking ends.

local corpus = require("spec.support.corpus")
local files = require("spec.support.files")
local guest = require("spec.support.guest")
local native = require("spec.support.native")
local sections = require("spec.support.sections")

after_each(guest.close_all)

-- Asks everything of a module's symbols; gives how many source frames were found.
local function ask(module)
  local count = 0
  for _, definition in ipairs(module:functions()) do
    assert.is_string(definition.name)
    local _ = { definition.file, definition.line, definition.param_names }
    for at = definition.offset or 0, (definition.offset or 0) + (definition.size or 0) do count = count + #module:places(at) end
  end
  return count
end

local function custom(name, contents) return sections.section(0, sections.sized(name) .. contents) end

-- The module without its debug sections, and those by name.
local function taken_apart(bytes)
  local rest, found, at = sections.header, {}, 9
  local function leb(from)
    local number, shift = 0, 0
    repeat
      local byte = bytes:byte(from)
      number, shift, from = number | (byte & 0x7f) << shift, shift + 7, from + 1
    until byte < 0x80
    return number, from
  end
  while at <= #bytes do
    local id = bytes:byte(at)
    local size, contents = leb(at + 1)
    local name_size, name_at = leb(contents)
    local name = id == 0 and bytes:sub(name_at, name_at + name_size - 1) or ""
    if name:match("^%.debug_") then found[name] = bytes:sub(name_at + name_size, contents + size - 1)
    else rest = rest .. bytes:sub(at, contents + size - 1) end
    at = contents + size
  end
  return rest, found
end

local function put_together(rest, found, changed, contents)
  for name, own in pairs(found) do rest = rest .. custom(name, name == changed and contents or own) end
  return rest
end

local text = [[
static inline int twice(int a) { return a * 2 + 1; }
int work(int a, int b) { int s = 0; for (int i = 0; i < a; i++) s += twice(i) ^ b; return s; }
]]

describe("broken debug information", function()
  if native.find("clang-14") then
    for _, version in ipairs({ "-gdwarf-4", "-gdwarf-5" }) do
      it(version .. " cut anywhere and changed anywhere is survived", function()
        local folder <close> = files.temporary()
        local rest, found = taken_apart((native.compile(folder.path, text, { flags = { "-O2", version } })))
        local whole = ask(guest.session().module(put_together(rest, found)))
        assert.is_true(whole > 50)
        math.randomseed(1)
        for name, contents in pairs(found) do
          for _ = 1, 40 do
            local at = math.random(#contents)
            local other = contents:sub(1, at - 1) .. string.char(math.random(0, 255)) .. contents:sub(at + 1)
            for _, changed in ipairs({ contents:sub(1, at - 1), other }) do
              local module = guest.session().module(put_together(rest, found, name, changed))
              ask(module)
              assert.equal("work", module:functions("work")[1].name)
              guest.close_all()
            end
          end
        end
        assert.equal(0, ask(guest.session().module(put_together(rest, found, ".debug_info", ""))))
      end)
    end
  end

  it("is survived in the corpus' damaged modules", function()
    local root = corpus.folder("broken")
    if not root then return pending(corpus.absent) end
    local asked = 0
    for _, name in ipairs(files.list(root)) do
      if name:match("^dwarf_") then
        ask(guest.session().module(files.read(root .. "/" .. name)))
        guest.close_all()
        asked = asked + 1
      end
    end
    assert.equal(70, asked)
  end)

  it("takes no more steps than its bytes are worth", function()
    -- A thousand attributes without a byte each, in as many entries as fit: all of them would be 10^9 values.
    local abbreviation = "\1\x11\1" .. ("\2\x19"):rep(999) .. "\0\0\0"
    local entries = ("\1"):rep(1000000)
    local unit = ("<I2I4I1"):pack(4, 0, 4) .. entries
    local bytes = sections.with_bodies({ "\0\x0b" }) .. custom(".debug_abbrev", abbreviation)
      .. custom(".debug_info", ("<I4"):pack(#unit) .. unit)
    assert.equal(0, ask(guest.session().module(bytes)))
  end)
end)
