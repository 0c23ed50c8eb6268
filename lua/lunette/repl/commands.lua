-- SPDX-License-Identifier: MIT
--- The prompt's commands, once: name, usage, one line of help, what it does. Each is a function in what is typed, too:
-- `mem 1024 32` and `mem(1024, 32)` are the same.

local api = require("lunette.api")
local core = require("lunette.core")
local text = require("lunette.cli.text")
local values = require("lunette.repl.values")

local commands = {}

local SHOWN = 100 -- lines of a list

--- Lua's own words.
commands.keywords = { "and", "break", "do", "else", "elseif", "end", "false", "for", "function", "goto", "if", "in", "local",
  "nil", "not", "or", "repeat", "return", "then", "true", "until", "while" }

local function module_of(prompt)
  local guest = prompt.session.guest
  return guest and guest.module or prompt.module
end

local function columns(prompt, rows)
  local lines = text.lines(rows, "  ", 48)
  for i = 1, math.min(#lines, SHOWN) do prompt:say("%s", lines[i]) end
  if #lines > SHOWN then prompt:say("  and %d more", #lines - SHOWN) end
end

local function whole(value, name)
  local number = math.tointeger(tonumber(value))
  if not number then error(("%s must be a whole number, not %s"):format(name, values.show(value)), 0) end
  return number
end

local function on_the_way(prompt)
  if not prompt.standing and prompt.over then error("the guest has ended", 0) end
end

-- ---- the stack ----
local function frame_args(frame)
  local good, list = pcall(function() return table.pack(frame:params()) end)
  if not good or (list.n == 0 and #frame.definition.params > 0) then return "(...)" end
  local names = frame.definition.param_names or {}
  for i = 1, list.n do
    local now = frame:is_exact(i) == false and "now " or ""
    list[i] = now .. (names[i] and text.escape(names[i]) .. "=" or "") .. values.plain(list[i])
  end
  return "(" .. table.concat(list, ", ") .. ")"
end

-- Source line where there is one, else the offset in the file.
local function frame_place(frame)
  local good, file, line = pcall(function() return frame.file, frame.line end)
  if good and file then return (" at %s:%s"):format(file, line or "?") end
  if frame.is_host then return " (host)" end
  return frame.file_offset and (" 0x%x"):format(frame.file_offset) or ""
end

local function frame_line(prompt, number)
  local frame = prompt:stack()[number]
  local mark = number == prompt.frame and "*" or " "
  return ("%s#%-2d %s%s%s%s"):format(mark, number - 1, text.escape(frame.definition.name), frame_args(frame),
    frame_place(frame), frame.reentry and number < #prompt:stack() and " (called by the host)" or "")
end

local function need_stack(prompt)
  local stack = prompt:stack()
  if not stack then error("the guest is not at work: there is no stack", 0) end
  return stack
end

local function move(prompt, steps)
  local stack = need_stack(prompt)
  local wanted = prompt.frame + steps
  if wanted < 1 then error("this is the innermost frame", 0) end
  if wanted > #stack then error("this is the outermost frame", 0) end
  prompt.frame = wanted
  prompt:say("%s", frame_line(prompt, wanted))
end

-- ---- the table ----
local rows = {}
local by_name = {}

local function command(name, usage, help, run)
  local row = { name = name, usage = usage, help = help, run = run }
  rows[#rows + 1] = row
  by_name[name] = row
  return row
end

local bt_help = "the stack, top first, with arguments (now: as they stand, no longer as given); N frames of it"
command("bt", "[N]", bt_help, function(prompt, count)
  local stack = need_stack(prompt)
  local most = count and whole(count, "the number of frames") or SHOWN
  for i = 1, math.min(#stack, most) do prompt:say("%s", frame_line(prompt, i)) end
  local more = #stack - math.max(0, math.min(#stack, most)) + stack.omitted
  if more > 0 then prompt:say("  and %d more", more) end
end)

command("up", "[N]", "chooses the caller's frame", function(prompt, count) move(prompt, whole(count or 1, "up")) end)
command("down", "[N]", "chooses the callee's frame", function(prompt, count) move(prompt, -whole(count or 1, "down")) end)

command("params", "", "the params of the chosen frame", function(prompt)
  need_stack(prompt)
  local frame = prompt:selected()
  local list = table.pack(frame:params())
  local names = frame.definition.param_names or {}
  local lines = {}
  for i, kind in ipairs(frame.definition.params) do
    lines[i] = { names[i] and text.escape(names[i]) or "#" .. i, kind, i <= list.n and values.plain(list[i]) or "?" }
  end
  columns(prompt, lines)
  if #lines == 0 then prompt:say("  none") end
end)

command("locals", "", "the locals of the chosen frame", function(prompt)
  need_stack(prompt)
  local lines = {}
  for i, item in ipairs(prompt:selected():locals()) do
    lines[i] = { item.name and text.escape(item.name) or "#" .. item.index, item.type, values.plain(item.value) }
  end
  columns(prompt, lines)
  if #lines == 0 then prompt:say("  none") end
end)

-- The guest, and the names under which it exports things.
local function guest_of(prompt)
  local guest = prompt.session.guest
  if not guest then error("there is no guest yet", 0) end
  local names = {}
  for name, item in pairs(guest.exports) do names[item] = text.escape(name) end
  return guest, names
end

command("globals", "", "the guest's globals", function(prompt)
  local guest, names = guest_of(prompt)
  local lines = {}
  for index = 0, math.maxinteger do
    local good, global = pcall(guest.global, guest, index)
    if not good then break end
    local kind = global.mutable and "mut " .. global.type or global.type
    lines[#lines + 1] = { "#" .. index, kind, values.plain(global.value), names[global] or "" }
  end
  columns(prompt, lines)
  if #lines == 0 then prompt:say("  none") end
end)

-- "name #3", of a function; else as other values.
local function element(value)
  local good, definition = pcall(function() return value.definition end)
  if value == nil or not good then return values.plain(value) end
  return text.escape(definition.name) .. "  #" .. definition.index
end

command("tables", "[TABLE [FIRST [N]]]", "the guest's tables; elements of one, by its number or export's name",
  function(prompt, which, first, count)
    local guest, names = guest_of(prompt)
    local lines = {}
    if which == nil then
      for index = 0, math.maxinteger do
        local good, one = pcall(guest.table, guest, index)
        if not good then break end
        lines[#lines + 1] = { "#" .. index, one.type, ("%d elements"):format(one.size), names[one] or "" }
      end
    else
      local number = math.tointeger(tonumber(which))
      local one, from = guest:table(number or which), whole(first or 0, "the first element")
      local most = math.min(one.size, from + math.max(0, whole(count or SHOWN, "the count")))
      for i = math.max(0, from), most - 1 do lines[#lines + 1] = { tostring(i), element(one[i]) } end
    end
    columns(prompt, lines)
    if #lines == 0 then prompt:say("  none") end
  end)

local typed = { u8 = 1, s8 = 1, u16 = 2, s16 = 2, u32 = 4, i32 = 4, i64 = 8, f32 = 4, f64 = 8 }

command("mem", "ADDR [N] [TYPE]", "N bytes of memory, or N values of a type: u8 s16 u32 i32 i64 f32 f64 …",
  function(prompt, address, count, kind)
    local memory = prompt:memory()
    if not memory then error("the guest has no memory", 0) end
    local at, many = whole(address, "an address"), whole(count or (kind and 1 or 64), "the count")
    if not kind then return prompt:say("%s", (memory:hexdump(at, many):gsub("\n$", ""))) end
    if not typed[kind] then
      local nearest = core.nearest(kind, { "u8", "s8", "u16", "s16", "u32", "i32", "i64", "f32", "f64" })
      error(("mem: no such type: %s%s"):format(kind, nearest and "; did you mean " .. nearest .. "?" or ""), 0)
    end
    local lines = {}
    for i = 1, math.min(many, SHOWN) do
      local here = at + (i - 1) * typed[kind]
      lines[i] = { ("0x%x"):format(here), values.plain(memory[kind](memory, here)) }
    end
    columns(prompt, lines)
    if many > SHOWN then prompt:say("  and %d more", many - SHOWN) end
  end)

command("functions", "[WHERE]", "the functions whose name matches", function(prompt, where)
  local module = module_of(prompt)
  if not module then error("there is no module yet", 0) end
  local lines = {}
  for i, definition in ipairs(module:functions(where)) do
    lines[i] = { "#" .. definition.index, text.escape(definition.name), text.signature(definition) }
  end
  columns(prompt, lines)
  if #lines == 0 then prompt:say("  none") end
end)

-- ---- going on ----
command("continue", "", "lets the guest run", function(prompt)
  on_the_way(prompt)
  prompt.resumes = true
end)

command("step", "", "runs to the next call", function(prompt)
  on_the_way(prompt)
  prompt.stops:next_call("*")
  prompt.resumes = true
end)

command("advance", "WHERE", "runs to the next call of a function whose name matches", function(prompt, where)
  on_the_way(prompt)
  if where == nil then error("advance: a where expected, say \"parse_*\"", 0) end
  prompt.stops:next_call(where)
  prompt.resumes = true
end)

command("finish", "", "runs to the end of the call that it stands at", function(prompt)
  prompt.stops:finish()
  prompt.resumes = true
end)

-- ---- breakpoints, traces, scripts ----
local function list_breakpoints(prompt)
  local lines = {}
  for i, number in ipairs(prompt.stops:numbers()) do
    local breakpoint = prompt.stops.breakpoints[number]
    local condition = breakpoint.condition and "if " .. tostring(breakpoint.condition) or ""
    lines[i] = { tostring(number), values.show(breakpoint.where), condition }
  end
  columns(prompt, lines)
  if #lines == 0 then prompt:say("  none") end
end

command("breakpoint", "[WHERE [CONDITION]]", "stops at calls of a function whose name matches; without, lists them",
  function(prompt, where, condition)
    if where == nil then return list_breakpoints(prompt) end
    local number, functions = prompt.stops:add(where, condition)
    prompt:say("breakpoint %d: %d function%s", number, functions, functions == 1 and "" or "s")
  end)

command("delete", "N", "takes a breakpoint away", function(prompt, number)
  prompt.stops:delete(whole(number, "the number of a breakpoint"))
end)

command("trace", "on|off", "the script calltree, which shows every call", function(prompt, word)
  local session = prompt.session
  if word == "on" then
    if not prompt.trace then prompt.trace = session.api.load("calltree") end
  elseif word == "off" then
    if prompt.trace then prompt.trace:unload() end
    prompt.trace = nil
  else
    error("trace on, or trace off", 0)
  end
end)

for _, name in ipairs({ "load", "unload", "reload" }) do
  command(name, "SCRIPT", "as lunette." .. name, function(prompt, ...)
    local script = prompt.session.api[name](...)
    if script then prompt:say("%s", tostring(script)) end
  end)
end

-- ---- help, the end ----
-- One line for those that belong together.
local together = { up = "up|down [N]", down = false, load = "load|unload|reload SCRIPT", unload = false, reload = false }
local short = {
  up = "chooses the caller's frame, the callee's", tables = "the guest's tables; elements of one",
  mem = "N bytes of memory, or values: u8 i32 f64 …", load = "as the functions of lunette",
  advance = "runs to the next call that matches", finish = "runs to the end of this call",
  breakpoint = "stops at calls that match, or lists them", functions = "the functions that match",
  help = "this, or more of a name", bt = "the stack, top first, with arguments",
}

local function overview(prompt)
  local lines = {}
  for _, row in ipairs(rows) do
    local usage = together[row.name]
    if usage ~= false then
      lines[#lines + 1] = { usage or row.name .. " " .. row.usage, short[row.name] or row.help }
    end
  end
  columns(prompt, lines)
  prompt:say("Anything else is Lua, which knows lunette, call, guest, memory and on.")
  prompt:say("help NAME tells more of a command, and explains lunette.NAME")
end

command("help", "[NAME]", "this; or what a command or a name of the API does", function(prompt, name)
  if name == nil then return overview(prompt) end
  local row = by_name[name]
  if row then return prompt:say("%s %s\n    %s", row.name, row.usage, row.help) end
  local found = api.help(tostring(name))
  if found then return prompt:say("%s", text.wrap(found, prompt.terminal.columns())) end
  local nearest = core.nearest(tostring(name), api.names())
  error(("there is no help on %s%s"):format(values.show(name), nearest and "; did you mean " .. nearest .. "?" or ""), 0)
end)

command("quit", "", "ends the guest, and the prompt", function(prompt) prompt:quit() end)

-- ---- reading ----
--- The command of that name, or nil.
function commands.named(name) return by_name[name] end

--- All names.
function commands.names()
  local names = {}
  for i, row in ipairs(rows) do names[i] = row.name end
  return names
end

-- Words, of which those in quotes may hold blanks.
local function words(line)
  local list, n, at = {}, 0, 1
  while true do
    at = line:find("%S", at)
    if not at then break end
    n = n + 1
    local quote = line:match("^[\"']", at)
    local close = quote and line:find(quote, at + 1, true)
    if close then
      list[n], at = line:sub(at + 1, close - 1), close + 1
    else
      list[n] = line:match("^%S+", at)
      at = at + #list[n]
    end
  end
  list.n = n
  return list
end

local keyword = {}
for _, name in ipairs(commands.keywords) do keyword[name] = true end

--- Whether a line that begins so is Lua: not `break`, by which a breakpoint is meant.
function commands.is_keyword(name) return keyword[name] and name ~= "break" end

--- The commands, in words, that somebody may have meant by the name; or nil.
function commands.nearest(name)
  local close = {}
  for _, row in ipairs(rows) do
    if row.name:sub(1, #name) == name then close[#close + 1] = "'" .. row.name .. "'" end
  end
  if #close > 0 and #close <= 3 then return table.concat(close, " or ") end
  local nearest = core.nearest(name, commands.names())
  return nearest and "'" .. nearest .. "'"
end

--- A command and its words, where the line is one and not Lua: a command's name at its end or before a blank and no operator.
function commands.parse(line)
  local name, rest = line:match("^%s*([%a_][%w_]*)(.*)$")
  local row = name and by_name[name]
  if not row or (rest ~= "" and not rest:find("^%s")) or rest:find("^%s*[=%(,]") then return nil end
  if name == "breakpoint" then -- the condition is the rest of the line
    local where, condition = rest:match("^%s+[\"']([^\"']+)[\"']%s+(%S.*)$")
    if not where then where, condition = rest:match("^%s+(%S+)%s+(%S.*)$") end
    if where then return row, { where, (condition:gsub("^if%s+", "")), n = 2 } end
  end
  return row, words(rest)
end

--- Whether an empty line after this one says it again.
function commands.repeats(line)
  local name = line:match("^%s*(%a+)")
  return name == "step" or name == "up" or name == "down"
end

return commands
