-- SPDX-License-Identifier: MIT
--- A session: one store with its instances, attachments and output, and the API on it.
--
-- The API is one table of functions bound to the session. A script gets a table of its own (see script.lua), whose calls
-- are charged to it; they all do the same. Errors of use are raised where the API was called. The session's own methods
-- (adopt, set_guest, unmatched, finish) are for the command.

local aggregate = require("lunette.aggregate")
local Owner = require("lunette.owner")
local core = require("lunette.core")
local expectations = require("lunette.expectations")
local loop = require("lunette.loop")
local options = require("lunette.options")
local reading = require("lunette.reading")
local render = require("lunette.render")
local script = require("lunette.script")
local shapes = require("lunette.shapes")
local stacks = require("lunette.stacks")
local settings_of_session = require("lunette.settings")
local testkit = require("lunette.testkit")
local where = require("lunette.where")

local sessions = {}

local Session = {}
Session.__index = Session

--- The core session, made at the first need and again after it was closed.
function Session:open()
  local inner = self.core
  if not inner or (inner.closed and self.is_default) then
    inner = core.session(self.settings)
    self.core = inner
    self:set_budget(self.settings.script_time, self.settings.script_memory)
    self.attached, self.exits, self.aggregations = {}, {}, {}
    self:close_at_end()
  end
  return inner
end

local own_sources = debug.getinfo(1, "S").source:match("^.*/") or "@lunette/"

--- What a callback of a script may take: a time, or nil, and all scripts together: a size, or nil.
function Session:set_budget(time, memory) core.budget(self.core, time, memory, own_sources) end

-- ---- what the API's functions do; `owner` is the script that calls, or nil ----
local calls = {}

-- What reaches files, sockets or processes is not for a script in the sandbox.
local function check_sandbox(owner, what)
  if owner and owner.sandboxed then error(what .. ": not in the sandbox", 0) end
end

function calls.module(session, owner, source)
  if type(source) == "table" and source.file ~= nil then check_sandbox(owner, "module{file=}") end
  return core.module(session:open(), source)
end

function calls.instantiate(session, owner, module, settings)
  if type(settings) == "table" and settings.wasi ~= nil then check_sandbox(owner, "instantiate with wasi=") end
  local instance = core.instantiate(session:open(), module, settings)
  session:check_wheres()
  return instance
end

function calls.host(session, _, name, items) return core.host(session:open(), name, items) end
function calls.memory(session, _, limits) return core.memory(session:open(), limits) end
function calls.table(session, _, limits) return core.table(session:open(), limits) end
function calls.tag(session, _, settings) return core.tag(session:open(), settings) end
function calls.global(session, _, settings) return core.global(session:open(), settings) end

local Multi = { __metatable = "multi" }
local class_of = debug.getmetatable

--- Several factories as one.
function calls.multi(_, _, ...)
  local factories = {}
  for i, factory in ipairs({ ... }) do
    if class_of(factory) == Multi then
      table.move(factory, 1, #factory, #factories + 1, factories)
    elseif type(factory) == "function" then
      factories[#factories + 1] = factory
    else
      error(("multi: argument %d is no factory but a %s"):format(i, type(factory)), 0)
    end
  end
  if #factories == 0 then error("multi: at least one factory expected", 0) end
  return setmetatable(factories, Multi)
end

-- Stacks have numbers of each store's own.
local function check_stacks(session, listener)
  local spec = getmetatable(listener) == "lunette.aggregation" and core.aggregate_spec(listener)
  if spec and spec.session ~= session:open() and stacks.place(spec) then
    error(spec.shown .. ": what counts by stacks listens in the session that made it alone", 0)
  end
end

-- The options that the core knows, and the compiled where.
local function attach(session, owner, members, wanted, settings)
  local passed = {}
  if settings ~= nil and type(settings) ~= "table" then error("options must be a table, not a " .. type(settings), 0) end
  for name, value in pairs(settings or {}) do
    if name ~= "where" then passed[name] = value end
  end
  passed.name = passed.name or owner and owner.name
  Owner.check_budget(session, owner, "on")
  local compiled = wanted ~= nil and where.compile(wanted) or nil
  for _, member in ipairs(members) do
    member.where = compiled
    check_stacks(session, member.listener)
  end
  local attachment = core.attach(session:open(), members, passed)
  if owner then owner:attached(attachment) end
  if session.entries then
    local factories = members[1].factory and {} or nil
    for i, member in ipairs(members) do
      if factories then factories[i] = member.factory end
    end
    session.entries[#session.entries + 1] = { owner = owner, where = wanted, compiled = compiled, factories = factories }
  end
  if compiled ~= nil then
    session:forget_detached()
    session.attached[#session.attached + 1] = { attachment = attachment, where = wanted, compiled = compiled, owner = owner }
    if #session.core.instances > 0 then session:check_wheres() end
  end
  return attachment
end

function calls.on(session, owner, wanted, listener, settings)
  if wanted == nil then error("on: a where expected, got nil (all functions: \"*\")", 0) end
  if type(settings) == "table" and settings.where ~= nil then error("on: where is the first argument, not an option", 0) end
  return attach(session, owner, { { listener = listener } }, wanted, settings)
end

function calls.intercept(session, owner, wanted, interceptor, settings)
  if not session:open().unsafe then
    error("intercept: changing calls needs " .. (session.core.is_loan and "--unsafe" or "lunette.session{unsafe=true}"), 0)
  end
  if wanted == nil then error("intercept: a where expected, got nil (all functions: \"*\")", 0) end
  if interceptor == nil then error("intercept: a function or {params=, results=} expected, got nil", 0) end
  for name in pairs(type(settings) == "table" and settings or {}) do
    where.check_name("intercept", name, { "name", "on_error", "reentrant" })
  end
  return attach(session, owner, { { interceptor = interceptor } }, wanted, settings)
end

function calls.factory(session, owner, factory, settings)
  local members = {}
  for i, one in ipairs(class_of(factory) == Multi and factory or { factory }) do members[i] = { factory = one } end
  if #members == 0 then error("factory: a function expected, got " .. type(factory), 0) end
  for name in pairs(type(settings) == "table" and settings or {}) do
    where.check_name("factory", name, shapes.names("attach_options", "factory_options"))
  end
  return attach(session, owner, members, type(settings) == "table" and settings.where or nil, settings)
end

--- A listener of all functions, or of where=, that the core tells only of changes.
function calls.on_change(session, owner, target, callback, settings)
  if type(callback) ~= "function" then error("on_change: a function expected, got " .. type(callback), 0) end
  settings = settings == nil and {} or settings
  if type(settings) ~= "table" then error("on_change: options must be a table, not a " .. type(settings), 0) end
  for name in pairs(settings) do
    where.check_name("on_change", name, { "where", "name", "on_error", "params", "reentrant" })
  end
  local wanted = settings.where == nil and "*" or settings.where
  return attach(session, owner, { { change = callback, target = target or false } }, wanted, settings)
end

local EXITS_DEEP = 100 -- what is given to at_exit by what was given to it, and so on

local function watch(session, owner, what, kinds, callback, settings)
  if type(callback) ~= "function" then error(("%s: a function expected, got %s"):format(what, type(callback)), 0) end
  settings = settings == nil and {} or settings
  if type(settings) ~= "table" then error(("%s: options must be a table, not a %s"):format(what, type(settings)), 0) end
  for name in pairs(settings) do
    where.check_name(what, name, { "on_error", "reentrant" })
  end
  Owner.check_budget(session, owner, what)
  local made = core.watch(session:open(), kinds, callback, settings)
  if owner then owner:attached(made) end
  return made
end

function calls.on_grow(session, owner, callback, settings) return watch(session, owner, "on_grow", 1, callback, settings) end
function calls.on_instance(session, owner, callback, settings)
  return watch(session, owner, "on_instance", 2 + 4, callback, settings)
end

local pairing_options = { "where", "walk", "goes_on" }

--- The pairing checker of the core. What is open when the guest has ended is told then.
function calls.pairing(session, owner, settings)
  settings = settings == nil and {} or settings
  if type(settings) ~= "table" then error("pairing: options must be a table, not a " .. type(settings), 0) end
  for name in pairs(settings) do
    where.check_name("pairing", name, pairing_options)
  end
  local wanted = settings.where
  if type(wanted) == "string" then wanted = { wanted } end
  local pairing = core.pairing(session:open(), wanted, settings.walk, settings.goes_on)
  if owner then owner:charge(function() pairing:detach() end) end
  session.exits[#session.exits + 1] = { callback = function() pairing:check() end, owner = owner }
  return pairing
end

-- ---- counting in C ----
-- It is printed at the end, if nobody has done so.
local function remember(session, owner, own, spec)
  session.aggregations[#session.aggregations + 1] = { aggregation = own, spec = spec, owner = owner }
  return own
end

for kind in pairs(aggregate.kinds) do
  calls[kind] = function(session, owner, given)
    return remember(session, owner, aggregate.new(session:open(), kind, given))
  end
end

function calls.balance(session, owner, open, close, given)
  if open == nil or close == nil then error("balance: two wheres expected: what opens, and what closes", 0) end
  if given ~= nil and type(given) ~= "table" then error("balance: options must be a table, not a " .. type(given), 0) end
  local own, spec = aggregate.balance(session:open(), given or {})
  attach(session, owner, { { listener = own } }, open, { name = spec.name })
  attach(session, owner, { { listener = own, closing = true } }, close, { name = spec.name })
  return remember(session, owner, own, spec)
end

function calls.arg(_, _, which) return reading.arg(which) end
function calls.result(_, _, position) return reading.result(position) end

function calls.stack_of(session, _, id)
  if math.type(id) ~= "integer" then error("stack_of: an id expected, got " .. type(id), 0) end
  return core.stack_of(session:open(), id) or error(("stack_of: there is no stack %d"):format(id), 0)
end

function calls.stack(_, _, frames) return testkit.stack(frames) end

-- Opens the session of a fake.
local function opener(session)
  return function(settings)
    local opened = sessions.create(settings)
    opened.folders = session.folders
    return opened
  end
end

--- A guest made of declarations, in a session of its own.
function calls.fake(session, owner, given)
  check_sandbox(owner, "fake")
  return require("lunette.fake").new(opener(session), given)
end

function calls.bench(session, owner, count, frames, listener)
  return testkit.bench(count, frames, listener, function(...)
    check_sandbox(owner, "bench")
    return require("lunette.fake.bench").run(opener(session), ...)
  end)
end

calls.expect, calls.fail = expectations.expect, expectations.fail

function calls.at_exit(session, owner, callback)
  if type(callback) ~= "function" then error("at_exit: a function expected, got " .. type(callback), 0) end
  session:open()
  Owner.check_budget(session, owner, "at_exit")
  local depth = session.exit_depth
  if depth >= EXITS_DEEP then error(("at_exit: called from at_exit, %d times over"):format(depth), 0) end
  session.exits[#session.exits + 1] = { callback = callback, owner = owner, depth = depth }
end

function calls.load(session, owner, name, given)
  if type(name) ~= "string" then error("load: a script's name or file expected, got " .. type(name), 0) end
  if given ~= nil and type(given) ~= "table" then error("load: options must be a table, not a " .. type(given), 0) end
  session:open()
  local spec = script.spec(name, given or {}, session.folders)
  if spec.file then check_sandbox(owner, "load of a file") end
  return script.load(session, spec):object(session)
end

function calls.unload(session, _, wanted) script.unload(session, Owner.find(session.scripts, "unload", wanted)) end

function calls.reload(session, _, wanted)
  return script.reload(session, Owner.find(session.scripts, "reload", wanted)):object(session)
end

calls.every, calls.delay, calls.linger = loop.every, loop.delay, loop.linger

-- From a callback the guest stands still here; from anywhere else, at its next call.
function calls.pause(session)
  local inner = session:open()
  if not session.terminal then error("pause: there is no prompt here; the command has one", 0) end
  local call = inner:call()
  if session.server then return session.server:stop_at(call) end
  local prompt = session:prompt()
  if call then prompt:pause("paused in " .. call.name, call)
  else prompt.stops:next_call("*") end
end

-- After the guest's end, which the command has told by `stopped`, it is the run's status, and nothing lingers.
function calls.stop(session, _, status)
  local inner = session:open()
  if session.stopped == nil then return inner:stop(status) end
  local number = status == nil and 0 or math.tointeger(status)
  if not number or number < -(1 << 31) or number >= 1 << 31 then
    error("stop: a status is a 32-bit integer", 0)
  end
  session.stopped = number
  inner:stop_loop()
end
function calls.fuel(session, _, left) return session:open():fuel(left) end
function calls.options(session, owner, declared)
  return options.read(owner, declared, function(text) error(core.error(session.core, "script", text), 0) end)
end
function calls.hex(_, _, value) return render.hex(value) end
function calls.json(_, _, value) return render.json(value) end

--- A further session, with store, output and API of its own.
function calls.session(_, owner, settings)
  check_sandbox(owner, "session")
  return sessions.create(settings == nil and {} or settings).api
end

function calls.close(session) session:close() end

-- ---- fields that are looked up when they are read ----
local fields = {}
function fields.guest(session) return session.guest end
function fields.failures(session) return table.move(session.failures, 1, #session.failures, 1, {}) end
-- A list of its own, so that the instances can be closed in a loop over it.
function fields.instances(session)
  local instances = session.core and session:open().instances or {}
  return table.move(instances, 1, #instances, 1, {})
end
-- A list of its own, so that they can be unloaded in a loop over it.
function fields.scripts(session)
  local list = {}
  for i, owner in ipairs(session.scripts) do list[i] = owner:object(session) end
  return list
end
function fields.state(session, owner) return owner and owner.state or session.state end
for _, name in ipairs({ "elapsed", "self_time", "stack_depth", "memory_size", "caller" }) do
  fields[name] = function() return reading.word(name) end
end
function fields.uv(session, owner)
  check_sandbox(owner, "lunette.uv")
  return loop.uv(session, owner)
end
function fields.where(session) return session.default_where or "*" end

-- ---- the API table ----
-- Raised in these files: raised again where the API was called.
local function raise(problem)
  if type(problem) ~= "string" then error(problem, 0) end
  local own, text = problem:match("^([^\n]-lunette/%w+%.lua:%d+: )(.*)$")
  if own or not problem:find("^[^\n]-:%d+: ") then error(text or problem, 3) end
  error(problem, 0)
end

local function checked(good, ...)
  if not good then raise((...)) end
  return ...
end

local function bind(session, owner, api, call)
  return function(first, ...)
    if owner and owner.gone then raise(("the script %s has been unloaded"):format(owner.name)) end
    if first == api then return checked(pcall(call, session, owner, ...)) end
    return checked(pcall(call, session, owner, first, ...))
  end
end

-- What went wrong with out:NAME's arguments, as the caller knows them: the number `before` stand in front of his.
local function misuse(problem, name, before)
  if type(problem) ~= "string" then return problem end
  local number, reason = problem:match("^bad argument #(%d+) to '[^']*' (.*)$")
  if number then return ("bad argument #%d to '%s' %s"):format(number - before, name, reason) end
  return (problem:gsub(" to 'format'", (" to '%s'"):format(name)))
end

local function output(session)
  local out = {}
  function out.write(_, ...)
    local inner = session:open()
    local good, written, text, kind = pcall(inner.write, inner, ...)
    if not good then error(misuse(written, "write", 1), 2) end
    return written, text, kind
  end
  function out.printf(_, ...)
    local good, text = pcall(string.format, ...)
    if not good then error(misuse(text, "printf", 0), 2) end
    return session:open():write(text)
  end
  return setmetatable(out, { __index = function(_, name)
    local nearest = type(name) == "string" and core.nearest(name, { "write", "printf" })
    error(("out:%s: no such method%s"):format(tostring(name), nearest and ("; did you mean '%s'?"):format(nearest) or ""), 2)
  end })
end

local function names_of(api)
  local names = {}
  for _, list in ipairs({ api, fields }) do
    for name in pairs(list) do names[#names + 1] = name end
  end
  return names
end

--- The API on this session; what it does is charged to `owner`, a script.
function Session:api_for(owner)
  local api = { version = core.version, out = output(self) }
  for name, call in pairs(calls) do api[name] = bind(self, owner, api, call) end
  return setmetatable(api, {
    __index = function(_, name)
      local field = fields[name]
      if field then return checked(pcall(field, self, owner)) end
      local nearest = type(name) == "string" and core.nearest(name, names_of(api))
      local hint = nearest and ("; did you mean '%s'?"):format(nearest) or ""
      error(("lunette.%s: no such field%s"):format(tostring(name), hint), 2)
    end,
    __newindex = function(_, name) error(("lunette.%s can't be set"):format(tostring(name)), 2) end,
    __close = function() self:close() end,
    __name = "lunette",
  })
end

-- ---- the session's own ----
--- What modules in the sandbox, which all of its scripts share, find as `lunette`.
function Session:sandbox_api()
  local owner = self.sandbox_owner
  if not owner then
    owner = Owner.new("modules", nil, {})
    owner.sandboxed = true
    self.sandbox_owner = owner
  end
  return self:api_for(owner)
end

-- A sentence about a where that can hear no call of the modules, or nil. `chosen`: whether it has matched, where that is known.
local function problem_of(entry, modules, chosen)
  local text = where.problem(entry.where, entry.compiled, modules, chosen)
  return text and entry.owner and ("%s: %s"):format(entry.owner.name, text) or text
end

local function modules_of(instances)
  local modules = {}
  for i, instance in ipairs(instances) do modules[i] = instance.module end
  return modules
end

-- Those that are still attached.
local function remaining(attached)
  local list = {}
  for _, entry in ipairs(attached) do
    if not entry.attachment.detached then list[#list + 1] = entry end
  end
  return list
end

--- Drops what has been detached, whenever the list has grown to twice of what there was.
function Session:forget_detached()
  if #self.attached < self.attached_limit then return end
  self.attached = remaining(self.attached)
  self.attached_limit = math.max(16, 2 * #self.attached)
end

-- A where is judged once, when there are functions, and not kept after that; one that is a Lua function knows best itself.
local function unjudged(session)
  local list = {}
  for _, entry in ipairs(remaining(session.attached)) do
    if type(entry.where) ~= "function" then list[#list + 1] = entry end
  end
  session.attached = {}
  return list
end

--- Tells which wheres match nothing; with strict that is an error.
function Session:check_wheres()
  for _, entry in ipairs(unjudged(self)) do
    local text = problem_of(entry, modules_of(self.core.instances), entry.attachment.functions > 0)
    if text and self.core.strict then error(text, 0) end
    if text then self.core:message(text) end
  end
end

--- Messages about the wheres that match no function of the module.
function Session:unmatched(module)
  local messages = {}
  for _, entry in ipairs(unjudged(self)) do
    messages[#messages + 1] = problem_of(entry, { module })
  end
  return messages
end

--- The prompt on the command's terminal, made at the first need.
function Session:prompt()
  local prompt = self.the_prompt
  if not prompt then
    prompt = require("lunette.repl.prompt").new(self, self.terminal)
    self.the_prompt = prompt
  end
  return prompt
end

function Session:set_guest(instance)
  self.guest = instance
  local instances = self.core.instances
  instances[#instances + 1] = instance
end

-- Text with a traceback of the callback's own frames, as of other callbacks.
local function explain(problem)
  if type(problem) == "userdata" then return tostring(problem) end
  local text = debug.traceback(tostring(problem), 2)
  local cut = text:find("\n\t[C]: in method 'call_callback'", 1, true)
  return cut and text:sub(1, cut - 1) or text
end

--- Runs what at_exit was given, by the owner or by all of them, the newest first. What fails is told and stops nothing;
-- gives how many did.
function Session:run_exits(owner)
  local failures, at = 0, #self.exits
  while at > 0 do
    local entry = self.exits[at]
    if entry and (not owner or entry.owner == owner) then
      table.remove(self.exits, at)
      local depth = self.exit_depth
      self.exit_depth = (entry.depth or 0) + 1
      local good, problem = self.core:call_callback(entry.callback, explain)
      self.exit_depth = depth
      if not good then
        failures = failures + 1
        self.core:message(problem)
      end
      at = #self.exits + 1 -- it may have added some
    end
    at = at - 1
  end
  self:print_aggregations(owner)
  return failures
end

--- Prints what the owner, or all of them, have counted and nobody has printed, and forgets it.
function Session:print_aggregations(owner)
  local kept = {}
  for _, entry in ipairs(self.aggregations) do
    if owner and entry.owner ~= owner then
      kept[#kept + 1] = entry
    else
      if not entry.spec.printed and not entry.spec.quiet then aggregate.print(entry.aggregation) end
      if owner then core.aggregate_forget(entry.aggregation) end
    end
  end
  self.aggregations = kept
end

--- The guest has ended. Gives how many callbacks failed, of at_exit and of the loop, and what has cut the loop short. `asked`:
-- why the end was asked for, so that nothing lingers.
function Session:finish(asked)
  if self.watched then self.watched.stop() end
  local failures = self:run_exits(nil)
  local ended = loop.settle(self, asked or self.stopped)
  return failures + self.core.loop_failures, ended
end

--- Takes away what a script has put to work, what it gave to at_exit unheard.
function Session:release(owner)
  owner:release()
  for i = #self.exits, 1, -1 do
    if self.exits[i].owner == owner then table.remove(self.exits, i) end
  end
  for i = #self.aggregations, 1, -1 do
    if self.aggregations[i].owner == owner then core.aggregate_forget(table.remove(self.aggregations, i).aggregation) end
  end
end

--- Frees all of it at once. A later use of the default session makes a new one.
function Session:close()
  local inner = self.core
  if not inner or inner.closed then return end
  inner:check_close()
  self:finish()
  inner:close()
  self.guest = nil
  self.attached, self.exits, self.aggregations = {}, {}, {}
end

-- At the end of the Lua state what was not closed is closed, at_exit included, while everything is still there: what is
-- made last is finalized first.
function Session:close_at_end()
  local inner = self.core -- a later one has a guard of its own
  self.guard = setmetatable({}, { __gc = function()
    if self.core == inner then pcall(self.close, self) end
  end })
end

local function new(fresh)
  fresh.attached, fresh.attached_limit, fresh.exits, fresh.scripts, fresh.state = {}, 16, {}, {}, {}
  fresh.aggregations, fresh.lingers, fresh.failures, fresh.exit_depth = {}, {}, {}, 0
  fresh.required, fresh.sandboxed = {}, {} -- modules: name → path; of the sandbox: name → value
  fresh.missing, fresh.module_texts = {}, {} -- modules that were not found: name → paths; path → text as it was read
  local session = setmetatable(fresh, Session)
  session.api = session:api_for(nil)
  return session
end

--- A session that works on what the command has made; `require "lunette"` gives its API from here on.
function sessions.adopt(inner)
  local session = new({ core = inner })
  package.loaded["lunette"] = session.api
  return session
end

--- A session of its own: { output = path, descriptor, "stdout" or "stderr", stack = bytes, max_memory = bytes,
-- limits = { … } }.
function sessions.create(settings)
  settings_of_session.check(settings)
  local session = new({ settings = settings, sandbox = settings.sandbox })
  session:open()
  return session
end

--- The one that `require "lunette"` gives in a program: made at its first use.
function sessions.default()
  return new({ settings = {}, is_default = true })
end

return sessions
