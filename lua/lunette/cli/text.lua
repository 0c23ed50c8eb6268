-- SPDX-License-Identifier: MIT
--- Text for people: names that may hold anything, types, columns.

local text = {}

--- Control characters as \xNN, so that a name stays on its line.
function text.escape(name)
  return (name:gsub("%c", function(byte) return ("\\x%02x"):format(byte:byte()) end))
end

--- How many columns it takes: characters, near enough.
function text.width(name) return utf8.len(name) or #name end

--- Filled up with blanks to `width` columns.
function text.pad(name, width) return name .. (" "):rep(width - text.width(name)) end

--- Lines that are wider than `columns` broken between words; what follows is indented as they are.
function text.wrap(lines, columns)
  return (lines:gsub("[^\n]+", function(line)
    local indent, kept = line:match("^ *"), {}
    while text.width(line) > columns do
      local at = columns + 1 -- a byte is a column at most
      while at > #indent + 1 and line:sub(at, at) ~= " " do at = at - 1 end
      if at <= #indent + 1 then break end
      kept[#kept + 1], line = line:sub(1, at - 1), indent .. line:sub(at + 1)
    end
    kept[#kept + 1] = line
    return table.concat(kept, "\n")
  end))
end

--- "(a: i32, i64) -> f64" of a definition.
function text.signature(definition)
  local params = {}
  local names = definition.param_names or {}
  for i, kind in ipairs(definition.params) do
    params[i] = names[i] and ("%s: %s"):format(text.escape(names[i]), kind) or kind
  end
  local results = definition.results
  local gives = #results == 0 and "" or " -> " .. (#results == 1 and results[1] or "(" .. table.concat(results, ", ") .. ")")
  return "(" .. table.concat(params, ", ") .. ")" .. gives
end

--- "file:line:column" as far as they are known, or nil.
function text.place(source)
  if not source.file then return nil end
  local place = text.escape(source.file)
  if source.line then place = place .. ":" .. source.line end
  if source.line and source.column then place = place .. ":" .. source.column end
  return place
end

--- Rows of cells as lines of aligned columns; a column's width is its widest cell, at most `most`.
function text.lines(rows, indent, most)
  local widths, lines = {}, {}
  for _, row in ipairs(rows) do
    for i, cell in ipairs(row) do
      local width = text.width(cell)
      if width <= most then widths[i] = math.max(widths[i] or 0, width) end
    end
  end
  for n, row in ipairs(rows) do
    local cells = {}
    for i, cell in ipairs(row) do cells[i] = i < #row and text.pad(cell, widths[i] or 0) or cell end
    lines[n] = indent .. table.concat(cells, "  "):gsub(" +$", "")
  end
  return lines
end

--- The same, written to stdout.
function text.columns(rows, indent, most)
  for _, line in ipairs(text.lines(rows, indent, most)) do io.write(line, "\n") end
end

return text
