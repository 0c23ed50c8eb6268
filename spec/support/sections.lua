-- SPDX-License-Identifier: MIT
-- Modules byte by byte, for what no text says: sections of given contents behind the header.

local sections = {}

-- An unsigned LEB128.
function sections.leb(n)
  local bytes = ""
  while n >= 0x80 do
    bytes = bytes .. string.char(n % 0x80 + 0x80)
    n = n // 0x80
  end
  return bytes .. string.char(n)
end

-- A string with its length before it: a name, a body, a section's contents.
function sections.sized(text) return sections.leb(#text) .. text end

function sections.section(id, contents) return string.char(id) .. sections.sized(contents) end

-- A vector: the count of its items, then the items.
function sections.vector(items) return sections.leb(#items) .. table.concat(items) end

sections.header = "\0asm\1\0\0\0"

-- A module with the functions' bodies (locals included, the final end, too), all of the one type: bytes behind 0x60.
function sections.with_bodies(bodies, type)
  local indexes, sized = {}, {}
  for i, body in ipairs(bodies) do indexes[i], sized[i] = "\0", sections.sized(body) end
  return sections.header .. sections.section(1, sections.vector({ "\x60" .. (type or "\0\0") }))
    .. sections.section(3, sections.vector(indexes)) .. sections.section(10, sections.vector(sized))
end

-- The custom section "name" with these subsections: pairs of an id and contents.
function sections.names(subsections)
  local contents = sections.sized("name")
  for _, subsection in ipairs(subsections) do contents = contents .. sections.section(subsection[1], subsection[2]) end
  return sections.section(0, contents)
end

return sections
