-- SPDX-License-Identifier: MIT
-- Writes how the run failed ("kind code") and the stack at that point, one line per guest frame: "index file_offset".

local told = false

lunette.on("*", {
  abort = function(_, err)
    if told then return end
    told = true
    lunette.out:printf("%s %s\n", err.kind, err.code)
    for _, frame in ipairs(err.stack) do
      if not frame.is_host then lunette.out:printf("%d %d\n", frame.definition.index, frame.file_offset) end
    end
  end,
})
