-- SPDX-License-Identifier: MIT
--- lunette.fake: a guest made of declarations, so that a script is tested without a program.
--
-- Its functions are real ones, of a module that is made for it; they do what they are told from outside, call by call. So a
-- script meets what it meets in a run: the same API, wheres, stacks, memory, counting in C, errors. A fake has a session of its
-- own, whose output and messages are kept.

local core = require("lunette.core")
local declared = require("lunette.fake.declared")
local module = require("lunette.fake.module")
local play = require("lunette.fake.play")
local script = require("lunette.script")

local Fake = {}
local kept = setmetatable({}, { __mode = "k" }) -- handle → its state

-- ---- the guest ----
-- What a host function does where the fake does not say it by `call`: as the play says.
local function answer(state, own)
  return function(call, ...)
    if own.call then return own.call(call, ...) end
    local waiting = state.answers
    local next_one = waiting and waiting[waiting.at]
    if not next_one or next_one.function_name ~= own.name then
      error(("fake: nobody says what %s is to do here"):format(own.name), 0)
    end
    waiting.at = waiting.at + 1
    for _, piece in ipairs(next_one.writes) do call.memory:write(piece.address, piece.bytes) end
    local given = next_one.given
    if given.raises ~= nil then error(given.raises, 0) end
    if given.exits ~= nil then state.session.api.stop(given.exits) end
    return table.unpack(next_one.results, 1, #own.results)
  end
end

local function imports_of(state)
  local api, by_module, imports = state.session.api, {}, {}
  for _, own in ipairs(state.declared.functions) do
    if own.is_host then
      local items = by_module[own.from] or {}
      by_module[own.from] = items
      items[own.as] = { params = own.params, results = own.results, param_names = own.param_names, answer(state, own) }
    end
  end
  for from, items in pairs(by_module) do imports[#imports + 1] = api.host(from, items) end
  return imports
end

-- Its session may be closed by itself (fake.lunette.close).
local function check_open(state)
  if state.closed or state.session.core.closed then error("fake: it is closed", 0) end
end

-- Made at the first need, so that scripts that were loaded before see it come, as in a run.
local function start(state)
  check_open(state)
  if state.instance then return state.instance end
  if state.starting then error("fake: its instance is being made at this moment", 0) end
  local api = state.session.api
  local made = api.module({ bytes = module.bytes(state.declared), name = state.declared.name })
  state.starting = true
  local good, instance = pcall(api.instantiate, made, { imports = imports_of(state) })
  state.starting = false
  if not good then error(instance, 0) end
  state.instance, state.session.guest = instance, instance
  return instance
end

-- ---- playing ----
-- Tapes of calls inside one another stand behind one another. Listeners may call, too: the tape is the fake's, not the guest's,
-- and is written past what listeners may change.
local function with_tape(state, text, body)
  local tape, place = state.instance.memories[1], state.instance:global(0)
  local from, begin = place.value, state.tape_end or 0
  if begin + #text > module.TAPE_PAGES * 65536 then error("fake: more than 64 MiB of calls at once", 0) end
  core.fake_tape(tape, place, begin, text)
  state.tape_end = begin + (#text + 7) // 8 * 8
  local good, problem = pcall(body)
  core.fake_tape(tape, place, from, "")
  state.tape_end = begin
  return good, problem
end

local function read_play(state, given)
  start(state)
  return play.read({ by_name = state.declared.by_name, frames = state.answers and {} or state.declared.frames }, given)
end

-- Enters the first function so often; each time goes on with the tape where the one before has left it.
local function perform(state, read, tape, times)
  local former = state.answers
  state.answers, read.answers.at = read.answers, 1
  local first = state.instance:table(0)[read.first.index]
  local start_ns, end_ns = core.monotonic_ns(), nil
  local good, problem = with_tape(state, tape, function()
    start_ns = core.monotonic_ns()
    for _ = 1, times do first:invoke(table.unpack(read.params, 1, #read.first.params)) end
    end_ns = core.monotonic_ns()
  end)
  state.answers = former
  return good, problem, end_ns and end_ns - start_ns
end

--- fake:call(name, param…) or fake:call{ name, param…, calls =, writes =, returns =, traps = }: the err that ended it, or nil.
function Fake.call(self, given, ...)
  local state = kept[self]
  if type(given) == "string" then given = { given, ... } end
  local read = read_play(state, given)
  local good, problem = perform(state, read, read.tape, 1)
  if good then return nil end
  if type(problem) ~= "userdata" then error(problem, 0) end
  return problem
end

-- ---- scripts ----
local function load(state, spec)
  check_open(state)
  local loaded = script.load(state.session, spec)
  return loaded:object(state.session)
end

--- Loads a script by file or name, as -s does.
function Fake.load(self, name, options)
  return load(kept[self], script.spec(name, options or {}, kept[self].session.folders))
end

--- Loads Lua text as a script, as -e does.
function Fake.eval(self, code, options) return load(kept[self], { code = code, options = options or {} }) end

--- The guest's end: at_exit, and what was counted is printed. Gives how many callbacks failed.
function Fake.finish(self)
  local state = kept[self]
  check_open(state)
  state.finishing = true
  local good, failures = pcall(state.session.finish, state.session, "the end of the fake")
  state.finishing = false
  if not good then error(failures, 0) end
  return failures
end

--- Where it can't be closed now, as in a callback, it stays as it was.
function Fake.close(self)
  local state = kept[self]
  if state.closed or state.closing then return end
  if state.finishing then error("fake: it can't be closed from its at_exit", 0) end
  state.closing = true
  local good, problem = pcall(state.session.close, state.session)
  state.closing = false
  if state.session.core.closed then
    state.closed = true
    if state.path then os.remove(state.path) end
  end
  if not good then error(problem, 0) end
end

-- ---- fields ----
local fields = {}
function fields.lunette(state) return state.session.api end
function fields.instance(state) return start(state) end
function fields.memory(state) return start(state).memory end
function fields.messages(state) return state.messages end
function fields.failures(state) return state.session.failures end
--- What was written to the trace output so far.
function fields.output(state)
  if not state.path then error("fake: its output goes elsewhere", 0) end
  check_open(state)
  state.session.core:flush()
  local file = io.open(state.path, "rb")
  if not file then return "" end
  local text = file:read("a")
  file:close()
  return text
end

-- What is wrong is told where the fake is used, whichever of these files noticed it; those who call this do so in their own
-- place.
local function checked(good, problem, ...)
  if good then return problem, ... end
  if type(problem) ~= "string" then error(problem, 0) end
  local own, text = problem:match("^([^\n]-lunette/[%w/]+%.lua:%d+: )(.*)$")
  text = (own and text or problem):gsub("^a session can't", "fake: it can't"):gsub("^the session is", "fake: it is")
  if own or text:find("^fake: ") or not text:find("^[^\n]-:%d+: ") then error(text, 2) end
  error(text, 0)
end

local methods = {}
for key, method in pairs(Fake) do
  methods[key] = function(self, ...)
    if not kept[self] then error(("fake:%s: call it with a colon"):format(key), 2) end
    return checked(pcall(method, self, ...))
  end
end

local Handle = { __name = "fake" }
function Handle.__index(self, key)
  if fields[key] then return checked(pcall(fields[key], kept[self])) end
  if methods[key] then return methods[key] end
  local names = {}
  for _, list in ipairs({ fields, methods }) do
    for name in pairs(list) do names[#names + 1] = name end
  end
  local nearest = core.nearest(tostring(key), names)
  error(("fake.%s: no such field%s"):format(tostring(key), nearest and ("; did you mean '%s'?"):format(nearest) or ""), 2)
end
function Handle.__newindex(_, key) error(("fake.%s can't be set"):format(tostring(key)), 2) end
function Handle.__tostring(self)
  local state = kept[self]
  return ("fake %s: %d functions"):format(state.declared.name, #state.declared.functions)
end
function Handle.__close(self) return checked(pcall(Fake.close, self)) end
function Handle.__gc(self)
  if kept[self] then pcall(Fake.close, self) end
end

local fake = { names = { fields = fields, methods = methods } }

--- A play, as a function that performs it so often and gives the ns that it took.
function fake.player(self, given, times)
  local state = kept[self]
  local read = read_play(state, given)
  local tape = read.tape:rep(times)
  local answers = table.move(read.answers, 1, #read.answers, 1, {})
  for _ = 2, times do table.move(answers, 1, #answers, #read.answers + 1, read.answers) end
  return function()
    local good, problem, ns = perform(state, read, tape, times)
    if not good then error(problem, 0) end
    return ns
  end
end

--- A fake as it was declared; open_session(settings) makes its session.
function fake.new(open_session, given)
  local read = declared.read(given)
  local messages, path, settings = {}, nil, {}
  for name, value in pairs(given.session or {}) do settings[name] = value end
  if settings.output == nil then
    path = os.tmpname()
    settings.output = path
  end
  settings.message = settings.message or function(text) messages[#messages + 1] = text end
  local good, session = pcall(open_session, settings)
  if not good then
    if path then os.remove(path) end
    error(session, 0)
  end
  local handle = setmetatable({}, Handle)
  kept[handle] = { session = session, declared = read, messages = messages, path = path }
  return handle
end

return fake
