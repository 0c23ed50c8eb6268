-- SPDX-License-Identifier: MIT
--- What a script has put to work, so that unloading it takes away just that: its attachments, what it gave to at_exit,
-- and whatever else was charged to it.

local core = require("lunette.core")

local Owner = {}
Owner.__index = Owner

-- What scripts are given of one another: { name, path, unload, reload }. It stays the same object over a reload.
local Script = { __name = "script", __metatable = "script" }
local owners = setmetatable({}, { __mode = "k" }) -- handle → { owner=, session=, actions= }

local fields = {
  name = function(entry) return entry.owner.name end,
  path = function(entry) return entry.owner.path end,
  loaded = function(entry) return not entry.owner.gone end,
  unload = function(entry) return entry.unload end,
  reload = function(entry) return entry.reload end,
}

function Script.__index(handle, key)
  local field = fields[key]
  if field then return field(owners[handle]) end
  local names = {}
  for name in pairs(fields) do names[#names + 1] = name end
  local nearest = core.nearest(tostring(key), names)
  error(("script.%s: no such field%s"):format(tostring(key), nearest and ("; did you mean '%s'?"):format(nearest) or ""), 2)
end
function Script.__newindex(_, key) error(("script.%s can't be set"):format(tostring(key)), 2) end
function Script.__tostring(handle) return "script: " .. owners[handle].owner.name end

local function bound(session, name)
  return function(self) return session.api[name](self) end
end

--- The owner's handle, for users.
function Owner:object(session)
  local handle = self.handle
  if not handle then
    handle = setmetatable({}, Script)
    self.handle = handle
    owners[handle] = { owner = self, unload = bound(session, "unload"), reload = bound(session, "reload") }
  end
  return handle
end

--- Takes the place of another, whose handle and lunette.state are its own from here on.
function Owner:succeed(former)
  self.handle = former.handle
  if self.handle then owners[self.handle].owner = self end
end

--- The owner meant by a handle or by a script's name or path, in a session's list of them. Raises.
function Owner.find(list, action, wanted)
  local entry = owners[wanted]
  if entry then return entry.owner end
  if type(wanted) ~= "string" then error(("%s: a script or its name expected, got %s"):format(action, type(wanted)), 0) end
  local names = {}
  for i = #list, 1, -1 do
    local owner = list[i]
    if owner.name == wanted or owner.path == wanted then return owner end
    names[#names + 1] = owner.name
  end
  local nearest = core.nearest(wanted, names)
  local hint = nearest and ("; did you mean %s?"):format(nearest) or ""
  error(("%s: no script \"%s\" is loaded%s"):format(action, wanted, hint), 0)
end

--- A script before its first line: name as shown, path (nil for -e), options as given (texts or values), and how it can be
-- read again.
function Owner.new(name, path, spec)
  return setmetatable({ name = name, path = path, spec = spec, options = spec.options or {}, state = {},
                        attachments = {}, attachments_limit = 16, releases = {} }, Owner)
end

local function note(self, attachment)
  local list = self.attachments
  if #list >= self.attachments_limit then
    local kept = {}
    for _, one in ipairs(list) do
      if not one.detached then kept[#kept + 1] = one end
    end
    self.attachments, self.attachments_limit = kept, math.max(16, 2 * #kept)
    list = kept
  end
  list[#list + 1] = attachment
end

--- Its attachments; those that were detached are forgotten whenever the list has doubled. One that cannot be noted is
-- detached at once: nobody would.
function Owner:attached(attachment)
  local good, problem = pcall(note, self, attachment)
  if good then return end
  attachment:detach({ drop = true })
  error(problem, 0)
end

--- Raises where a callback may put no further ones to work, since too many have exceeded their budget. A script that is
-- loaded, by none, may.
function Owner.check_budget(session, owner, what)
  if not session:open().is_over or owner and owner.is_loading then return end
  error(what .. ": callbacks have exceeded their budget too often: no further ones from this one", 0)
end

--- Has `release` called when the script goes. Gives a function that takes that back.
function Owner:charge(release)
  local releases = self.releases
  releases[release] = true
  return function() releases[release] = nil end
end

--- Takes away all of it. Open calls get neither after nor abort (R7); its API is of no use from here on.
function Owner:release()
  self.gone = true
  for _, attachment in ipairs(self.attachments) do
    if not attachment.detached then attachment:detach({ drop = true }) end
  end
  for release in pairs(self.releases) do release() end
  self.attachments, self.releases = {}, {}
end

return Owner
