-- SPDX-License-Identifier: MIT
-- Guests for specs: a session of its own, with the messages it tells kept, and instances made from WAT text.

local lunette = require("lunette")
local wat = require("spec.support.wat")

local guest = {}

local opened = {}

-- The API of a fresh session; `messages` is where what it tells goes. guest.close_all ends it.
function guest.session(options)
  local settings, messages = {}, {}
  for name, value in pairs(options or {}) do settings[name] = value end
  settings.message = settings.message or function(text) messages[#messages + 1] = text end
  local session = lunette.session(settings)
  opened[#opened + 1] = session
  return session, messages
end

-- { lunette =, messages =, instance = } of one instance of the text. options: imports = function(lunette) -> imports,
-- name =, session = options of the session.
function guest.open(text, options)
  options = options or {}
  local session, messages = guest.session(options.session)
  local module = session.module({ bytes = wat(text), name = "app" })
  local imports = options.imports and options.imports(session) or nil
  return {
    lunette = session,
    messages = messages,
    module = module,
    instance = session.instantiate(module, { imports = imports, name = options.name }),
  }
end

-- The same in a session where calls may be changed.
function guest.open_unsafe(text, options)
  options = options or {}
  options.session = options.session or { unsafe = true }
  return guest.open(text, options)
end

-- Listens and notes each event: "before f 1 2", "after f 3", "abort f trap".
function guest.hear(app, where, options, list)
  list = list or {}
  local function note(kind, call, ...)
    local parts = table.pack(kind, call.name, ...)
    for i = 1, parts.n do parts[i] = tostring(parts[i]) end
    list[#list + 1] = table.concat(parts, " ")
  end
  local attachment = app.lunette.on(where, {
    before = function(call, ...) note("before", call, ...) end,
    after = function(call, ...) note("after", call, ...) end,
    abort = function(call, err) note("abort", call, err.kind) end,
  }, options)
  return list, attachment
end

-- The err that calling raises.
function guest.failure(callee, ...)
  local good, err = pcall(callee, ...)
  assert(not good, "an error was expected")
  return err
end

function guest.close_all()
  for _, session in ipairs(opened) do session.close() end
  opened = {}
end

return guest
