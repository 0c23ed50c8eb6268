-- SPDX-License-Identifier: MIT
-- Runs a file of the official test suite (JSON, as wast2json writes it) through the Lua API: one session per file.
--   wast.run(folder, file, overturned) -> { passed=, failed=, skipped=, lacking=, messages={…} }
-- Values cross as raw bits, so that NaN payloads and signed zeros are compared exactly. Only commands about the text
-- format are skipped: their modules are not delivered. A module that is refused for garbage collection is lacking, and so is
-- whatever needs its instance. `overturned` maps a line to the entry of an assertion that a later
-- version of the specification turns round. wast.prepare(session) comes
-- before all else, and wast.how stands in titles: for suites that are run traced.

local corpus = require("spec.support.corpus")
local files = require("spec.support.files")
local lunette = require("lunette")

local wast = { how = "", prepare = function() end }

-- Unsigned decimal text to 64 bits (tonumber would give a float above 2^63).
local function bits_of(text)
  local n = 0
  for digit in text:gmatch("%d") do n = n * 10 + tonumber(digit) end
  return n
end

local lane_width = { i8 = 8, i16 = 16, i32 = 32, i64 = 64, f32 = 32, f64 = 64 }

-- The lanes of a v128 as two slots, low half first.
local function slots_of_lanes(lane_type, lanes)
  local width, slots = lane_width[lane_type], { 0, 0 }
  for i, lane in ipairs(lanes) do
    local at = (i - 1) * width
    slots[at // 64 + 1] = slots[at // 64 + 1] | (bits_of(lane) & (width == 64 and -1 or (1 << width) - 1)) << at % 64
  end
  return slots
end

local function slots_of_args(args)
  local slots = {}
  for _, arg in ipairs(args or {}) do
    if arg.type == "v128" then
      local pair = slots_of_lanes(arg.lane_type, arg.value)
      slots[#slots + 1], slots[#slots + 2] = pair[1], pair[2]
    elseif arg.value == "null" then
      slots[#slots + 1] = 0
    elseif arg.type == "externref" then
      slots[#slots + 1] = bits_of(arg.value) + 1 -- 0 is null
    else
      slots[#slots + 1] = bits_of(arg.value)
    end
  end
  return slots
end

local function matches_number(bits, kind, value)
  local narrow = kind == "f32"
  if value == "nan:canonical" then
    if narrow then return bits & 0x7fffffff == 0x7fc00000 end
    return bits & 0x7fffffffffffffff == 0x7ff8000000000000
  elseif value == "nan:arithmetic" then
    if narrow then return bits & 0x7fc00000 == 0x7fc00000 end
    return bits & 0x7ff8000000000000 == 0x7ff8000000000000
  end
  return bits == bits_of(value)
end

local function matches_v128(low, high, expected)
  local width = lane_width[expected.lane_type]
  local mask = width == 64 and -1 or (1 << width) - 1
  for i, value in ipairs(expected.value) do
    local at = (i - 1) * width
    local lane = ((at < 64 and low or high) >> at % 64) & mask
    if not matches_number(lane, expected.lane_type, value) then return false end
  end
  return true
end

-- How many slots the expectation takes, or nil where the results do not match it.
local function matches(results, at, expected)
  local bits = results[at]
  if expected.type == "v128" then return bits and matches_v128(bits, results[at + 1], expected) and 2 end
  if bits == nil then return nil end
  if expected.type == "either" then
    for _, choice in ipairs(expected.values) do
      local taken = matches(results, at, choice)
      if taken then return taken end
    end
    return nil
  end
  if expected.type == "externref" and expected.value and expected.value ~= "null" then
    return bits == bits_of(expected.value) + 1 and 1
  end
  if expected.type == "refnull" then return bits == 0 and 1 end
  if expected.value == nil or expected.type == "funcref" and expected.value ~= "null" then return bits ~= 0 and 1 end
  if expected.value == "null" then return bits == 0 and 1 end
  return matches_number(bits, expected.type, expected.value) and 1
end

local function same_results(results, expected)
  local at = 1
  for _, one in ipairs(expected or {}) do
    local taken = matches(results, at, one)
    if not taken then return false end
    at = at + taken
  end
  return at == #results + 1
end

local packed = { i32 = "<i4", i64 = "<i8", f32 = "<f", f64 = "<d" }

-- The bits of a global's value (no global of the suite holds a NaN).
local function global_bits(kind, value)
  local bytes = string.pack(packed[kind], value)
  return (string.unpack("<I" .. #bytes, bytes))
end

local function shown(results)
  local text = {}
  for i, bits in ipairs(results) do text[i] = ("0x%x"):format(bits) end
  return "(" .. table.concat(text, " ") .. ")"
end

-- The host module that the suite imports from.
local function spectest(session)
  local function printer(...) return { params = { ... }, results = {}, function() end } end
  return session.host("spectest", {
    print = printer(),
    print_i32 = printer("i32"),
    print_i64 = printer("i64"),
    print_f32 = printer("f32"),
    print_f64 = printer("f64"),
    print_i32_f32 = printer("i32", "f32"),
    print_f64_f64 = printer("f64", "f64"),
    global_i32 = session.global({ type = "i32", value = 666 }),
    global_i64 = session.global({ type = "i64", value = 666 }),
    global_f32 = session.global({ type = "f32", value = 666.6 }),
    global_f64 = session.global({ type = "f64", value = 666.6 }),
    table = session.table({ type = "funcref", min = 10, max = 20 }),
    table64 = session.table({ type = "funcref", min = 10, max = 20, address = "i64" }),
    memory = session.memory({ min = 1, max = 2 }),
  })
end

local Run = {}
Run.__index = Run

function Run:module(command) return self.session.module(files.read(self.folder .. "/" .. command.filename)) end

function Run:instantiate(command)
  return self.session.instantiate(self:module(command), { imports = self.imports })
end

function Run:instance(name) return name and self.named[name] or self.last end

function Run:act(action)
  local instance = self:instance(action.module)
  if not instance then error("no instance " .. tostring(action.module)) end
  if action.type == "get" then
    local global = instance:global(action.field)
    return { global_bits(global.type, global.value) }
  end
  return table.pack(instance.exports[action.field]:invoke_bits(table.unpack(slots_of_args(action.args))))
end

-- Whether a trap's name and the suite's text mean the same: one may be longer ("uninitialized element 2").
local function same_trap(code, text)
  code = tostring(code)
  return code:sub(1, #text) == text or text:sub(1, #code) == code
end

-- Expects f to fail with one of the kinds; the trap's text is compared where there is one.
local function fails(kinds, text, f, ...)
  local ok, err = pcall(f, ...)
  if ok then return "succeeded; expected " .. kinds .. ": " .. tostring(text) end
  local kind = type(err) ~= "string" and err.kind
  if not kind then return tostring(err) end
  if not (" " .. kinds .. " "):find(" " .. kind .. " ", 1, true) then
    return ("%s: %s; expected %s: %s"):format(kind, err.message, kinds, tostring(text))
  end
  if kind == "trap" and text and not same_trap(err.code, text) then
    return ("trap: %s; expected %s"):format(err.code, text)
  end
end

local function succeeds(f, ...)
  local ok, err = pcall(f, ...)
  if not ok then return tostring(err) end
end

-- One function per command: gives nil, or what went wrong.
local commands = {}

function commands.module(run, command)
  if command.definition then return commands.module_definition(run, command) end
  local ok, instance = pcall(run.instantiate, run, command)
  run.last = ok and instance or nil
  if command.name then run.named[command.name] = run.last end
  if not ok then return tostring(instance) end
end

function commands.module_definition(run, command)
  local ok, module = pcall(run.module, run, command)
  if not ok then return tostring(module) end
  run.definitions[command.name or ""] = module
end

function commands.module_instance(run, command)
  local ok, instance = pcall(run.session.instantiate, run.definitions[command.module or ""], { imports = run.imports })
  if not ok then return tostring(instance) end
  run.last = instance
  if command.instance then run.named[command.instance] = instance end
end

function commands.register(run, command)
  local instance = run:instance(command.name)
  if not instance then return "no instance to register as " .. command.as end
  run.imports[command.as] = instance
end

function commands.action(run, command) return succeeds(run.act, run, command.action) end

function commands.assert_return(run, command, overturned)
  local ok, results = pcall(run.act, run, command.action)
  if not ok then return tostring(results) end
  local expected = command.either and { { type = "either", values = command.either } } or command.expected
  if same_results(results, expected) == (overturned ~= nil) then
    return ("%s gave %s"):format(command.action.field, shown(results))
  end
end

function commands.assert_trap(run, command, overturned)
  if overturned then return succeeds(run.act, run, command.action) end
  return fails("trap", command.text, run.act, run, command.action)
end

function commands.assert_exhaustion(run, command) return fails("exhausted", nil, run.act, run, command.action) end

function commands.assert_exception(run, command) return fails("exception", nil, run.act, run, command.action) end

function commands.assert_invalid(run, command, overturned)
  if overturned then return succeeds(run.module, run, command) end
  return fails("invalid", nil, run.module, run, command)
end

function commands.assert_malformed(run, command, overturned)
  if overturned and overturned.kind then return fails(overturned.kind, nil, run.module, run, command) end
  if overturned then return succeeds(run.module, run, command) end
  return fails("malformed", nil, run.module, run, command)
end

function commands.assert_unlinkable(run, command, overturned)
  return fails(overturned and "trap" or "unlinkable", nil, run.instantiate, run, command)
end

function commands.assert_uninstantiable(run, command)
  return fails("trap exhausted", command.text, run.instantiate, run, command)
end

-- Whether what went wrong comes from garbage collection: a module that needs it, the place of an instance of one, or an
-- import from one.
local function is_lacking(run, command, problem)
  local place = command.name or command.module or command.action and command.action.module
  if problem:find("garbage collection is not supported", 1, true) then
    if command.type:match("^module") then run.lacks[command.name or ""], run.lacks.last = true, true end
    return true
  end
  local name = problem:match("unknown import: ([^%.]+)%.")
  if name and run.lacks["import " .. name] then
    if command.type == "module" then run.lacks[command.name or ""], run.lacks.last = true, true end
    return true
  end
  if command.type == "module_instance" and run.lacks[command.module or ""] then
    run.lacks[command.instance or ""], run.lacks.last = true, true
    return true
  end
  if not problem:find("no instance", 1, true) or not run.lacks[place or "last"] then return false end
  if command.type == "register" then run.lacks["import " .. command.as] = true end
  return true
end

-- With `paired` the pairing checker listens to every function; what it says is one more message.
function wast.run(folder, file, overturned, paired)
  local result = { passed = 0, failed = 0, skipped = 0, lacking = 0, messages = {} }
  local session <close> = lunette.session({})
  wast.prepare(session)
  local pairing = paired and session.pairing()
  local run = setmetatable({ session = session, folder = folder, named = {}, definitions = {}, lacks = {} }, Run)
  run.imports = { spectest = spectest(session) }
  for _, command in ipairs(corpus.json(folder .. "/" .. file).commands) do
    local handler = commands[command.type]
    if command.module_type == "text" then
      result.skipped = result.skipped + 1
    else
      local problem
      if handler then
        problem = handler(run, command, overturned and overturned[command.line])
      else
        problem = "unknown command"
      end
      if command.type:match("^module") then run.lacks.last = run.last == nil and run.lacks.last end
      if problem and is_lacking(run, command, problem) then
        result.lacking = result.lacking + 1
      elseif problem then
        result.failed = result.failed + 1
        result.messages[#result.messages + 1] = ("%s:%d: %s: %s"):format(file, command.line, command.type, problem)
      else
        result.passed = result.passed + 1
      end
    end
  end
  if pairing then
    local good, problem = pcall(pairing.check, pairing)
    if not good then
      result.failed = result.failed + 1
      result.messages[#result.messages + 1] = tostring(problem)
    end
  end
  return result
end

return wast
