-- SPDX-License-Identifier: MIT
-- Which function calls which, with what arguments, and what comes back?
--
-- A call that makes no calls of its own is one line, name(arguments) = results; others open with { and close with
-- } = results. Where a call does not return, "! kind: why" stands in place of its results; where it ends in a tail call,
-- "-> name" of the function that takes its place. {...} holds calls deeper than `depth`. [intercepted: what] marks a call that
-- lunette.intercept has changed.

local depth = lunette.options({ depth = { default = 100, min = 0, help = "how many levels are shown" } }).depth

local out, format = lunette.out, string.format
local level = 0          -- calls that are open
local head               -- the innermost, "name(arguments)", while it is not known whether it makes calls
local has_hidden = false -- whether it has made calls too deep to be shown
local told               -- the failure whose text has been shown

local indents = setmetatable({}, {
  __index = function(self, at)
    self[at] = ("  "):rep(at - 1)
    return self[at]
  end,
})

local function open(text)
  if head then out:write(head .. " {\n") end
  head = indents[level] .. text
end

local function close(text)
  if head then
    out:write(head .. (has_hidden and " {...}" or "") .. text .. "\n")
    head, has_hidden = nil, false
  else
    out:write(indents[level] .. "}" .. text .. "\n")
  end
end

-- The innermost frame says why, those around it only that.
local function failure(err)
  if told == err or err.message == err.kind then return " ! " .. err.kind end
  told = err
  return format(" ! %s: %s", err.kind, err.kind == "exit" and err.code or err.message)
end

local plain = { i32 = "%d", i64 = "%d", f32 = "%.14g", f64 = "%.14g" }

local function one_line(text) return (text:gsub("%c", "?")) end

local function show(value, kind)
  if kind == "v128" then return "0x" .. value:reverse():gsub(".", function(byte) return format("%02x", byte:byte()) end) end
  return type(value) == "string" and '"' .. one_line(value) .. '"' or tostring(value)
end

-- What is behind the results of a call that somebody intercepts.
local function mark(call)
  local what = call.intercepted
  return what and (what == "unchanged" and " [intercepted]" or " [intercepted: " .. what .. "]") or ""
end

-- values → text, by a format made once: "(a=%d, b=%g)".
local function texter(opening, types, names, closing)
  local parts, all_plain = {}, true
  for i, kind in ipairs(types) do
    parts[i] = (names[i] and one_line(names[i]):gsub("%%", "%%%%") .. "=" or "") .. (plain[kind] or "%s")
    all_plain = all_plain and plain[kind]
  end
  local pattern = opening:gsub("%%", "%%%%") .. table.concat(parts, ", ") .. closing
  if #types == 0 then
    local text = format(pattern)
    return function() return text end
  end
  if all_plain then return function(...) return format(pattern, ...) end end
  return function(...)
    local values = { ... }
    for i = 1, #types do
      if not plain[types[i]] then values[i] = show(values[i], types[i]) end
    end
    return format(pattern, table.unpack(values, 1, #types))
  end
end

-- Without the list of types that a demangled name ends in: "sum(int) const" → "sum".
local function stem(definition)
  local name = definition.name
  return name ~= definition.raw_name and name:match("^(.-)%b()[ %a&]*$") or name
end

lunette.factory(function(definition)
  local results = definition.results
  local call_text = texter(one_line(stem(definition)) .. "(", definition.params, definition.param_names or {}, ")")
  local results_text = texter(#results > 1 and " = (" or #results == 1 and " = " or "", results, {}, #results > 1 and ")" or "")
  return {
    before = function(_, ...)
      level = level + 1
      if level <= depth then open(call_text(...)) else has_hidden = true end
    end,
    after = function(call, ...)
      if level <= depth then
        local tail = select("#", ...) == 0 and call.tail
        close((tail and " -> " .. one_line(tail.name) or results_text(...)) .. mark(call))
      end
      level = level - 1
    end,
    abort = function(call, err)
      if level <= depth then close(failure(err) .. mark(call)) end
      level = level - 1
    end,
  }
end, { where = lunette.where })
