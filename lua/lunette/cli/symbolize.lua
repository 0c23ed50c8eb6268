-- SPDX-License-Identifier: MIT
--- `lunette symbolize`: function, file, line and column of code offsets, and what was inlined there.
--
-- 0x… counts from the module's first byte, as browsers and other engines print it, c0x… from the start of the code section's
-- contents, as DWARF and lunette's frames count. Without offsets, text is read from stdin and written again, and below each
-- line what the offsets in it stand for.

local json = require("lunette.cli.json")
local text = require("lunette.cli.text")

local symbolize = {}

local EXIT_USAGE = 64
local MOST = 0x7fffffff -- no module is as large

-- The code offset that a text stands for, or nil.
local function offset_of(module, word)
  local code, digits = word:match("^(c?)0[xX](%x+)$")
  if not digits then return nil end
  local offset = #digits <= 12 and tonumber(digits, 16) or MOST
  return code == "c" and offset or offset - module.code_start
end

-- The frames of an offset, innermost first: { name =, file =, line =, column =, inlined = }; and the definition.
local function frames_at(module, offset)
  local definition = offset >= 0 and module:function_at(offset) or nil
  if not definition then return {}, nil end
  local frames = module:places(offset)
  if #frames == 0 then frames[1] = { inlined = false } end
  frames[#frames].name = definition.name
  return frames, definition
end

local function line_of(frame)
  local line = text.escape(frame.name or "?") .. (frame.inlined and " (inlined)" or "")
  local place = text.place(frame)
  return place and line .. " " .. place or line
end

local function write_json(word, offset, frames, definition)
  local list = {}
  for i, frame in ipairs(frames) do
    list[i] = json.object({ { "function", frame.name }, { "linkage_name", frame.linkage_name }, { "file", frame.file },
      { "line", frame.line }, { "column", frame.column }, { "inlined", frame.inlined } })
  end
  json.write(json.object({ { "offset", word }, { "code_offset", definition and offset },
    { "index", definition and definition.index },
    { "frames", list } }))
end

local function of_words(request, words)
  for _, word in ipairs(words) do
    if not offset_of(request.module, word) then
      request.say(('"%s" is no offset\nhint: 0x1f from the start of the module, c0x1f from the start of its code section')
        :format(word))
      return EXIT_USAGE
    end
  end
  for _, word in ipairs(words) do
    local offset = offset_of(request.module, word)
    local frames, definition = frames_at(request.module, offset)
    if request.json then
      write_json(word, offset, frames, definition)
    elseif not definition then
      io.write(word, " is in no function\n")
    else
      for _, frame in ipairs(frames) do io.write(word, " ", line_of(frame), "\n") end
    end
  end
  return nil
end

-- Words such as 0x1f and c0x1f that are not part of a longer one.
local function words_in(line)
  local words = {}
  for word in line:gmatch("%f[%w_]c?0[xX]%x+%f[^%w_]") do words[#words + 1] = word end
  return words
end

local function of_text(request)
  for line in io.lines() do
    if not request.json then io.write(line, "\n") end
    for _, word in ipairs(words_in(line)) do
      local offset = offset_of(request.module, word)
      local frames, definition = frames_at(request.module, offset)
      if definition and request.json then write_json(word, offset, frames, definition) end
      for _, frame in ipairs(request.json and {} or frames) do io.write("    ", line_of(frame), "\n") end
    end
  end
end

function symbolize.main(_, request)
  if #request.arguments > 1 then return of_words(request, table.move(request.arguments, 2, #request.arguments, 1, {})) end
  return of_text(request)
end

return symbolize
