-- SPDX-License-Identifier: MIT
--- For busted specs of trace scripts: `local fake = require("lunette.busted").fake{ … }`.
--
-- A fake that was made in a test is closed when that is over. Assertions: assert.printed("text\n", fake) compares all of its
-- output; assert.printed_line("text", fake) wants a line of it; assert.well(fake) that no expectation of a script has failed
-- and nothing was told.

local assert = require("luassert")
local busted = require("busted")
local lunette = require("lunette")
local say = require("say")

local kit = {}

local open = {}

--- lunette.fake{ … }, closed at the test's end.
function kit.fake(given)
  local good, fake = pcall(lunette.fake, given)
  if not good then error(fake, 2) end
  open[#open + 1] = fake
  return fake
end

busted.subscribe({ "test", "end" }, function()
  for _, fake in ipairs(open) do fake:close() end
  open = {}
  return nil, true
end)

local function register(name, text, holds)
  local key = "assertion." .. name .. "."
  say:set(key .. "positive", text)
  say:set(key .. "negative", "not: " .. text)
  assert:register("assertion", name, holds, key .. "positive", key .. "negative")
end

register("printed", "Expected the output to be\n%s\nand it is\n%s", function(_, arguments)
  arguments[2] = arguments[2].output
  return arguments[1] == arguments[2]
end)

register("printed_line", "Expected the output to have the line\n%s\nand it is\n%s", function(_, arguments)
  arguments[2] = arguments[2].output
  return ("\n" .. arguments[2]):find("\n" .. arguments[1] .. "\n", 1, true) ~= nil
end)

register("well", "Expected that nothing fails, and this was told:\n%s", function(_, arguments)
  local told = table.move(arguments[1].failures, 1, #arguments[1].failures, 1, {})
  for _, text in ipairs(arguments[1].messages) do
    if not told[1] or text ~= told[#told] then told[#told + 1] = text end
  end
  arguments[1] = table.concat(told, "\n")
  return #told == 0
end)

return kit
