-- SPDX-License-Identifier: MIT
-- "name.lua:3: ", where the script stands that called; "" where none did. Of its caller's caller on, lunette's own files are
-- passed over.

local own = debug.getinfo(1, "S").source:match("^.*/") or "lunette/"

return function()
  local level = 3
  repeat
    local info = debug.getinfo(level, "Sl")
    if info and info.currentline > 0 and info.source:sub(1, #own) ~= own then
      return ("%s:%d: "):format(info.short_src, info.currentline)
    end
    level = level + 1
  until not info
  return ""
end
