-- SPDX-License-Identifier: MIT
--- lunette.expect and lunette.fail: what a script holds a run to.
--
-- A failure is told once, with its place, kept in lunette.failures, and ends the run with kind exit and status 104. In a
-- program of one's own, outside of any run, it is raised.

local place = require("lunette.place")

local expectations = {}

local STATUS = 104
expectations.STATUS = STATUS

local function tell(session, message)
  local inner = session:open()
  local text = place() .. message
  session.failures[#session.failures + 1] = text
  if not inner.is_loan and not inner:call() then error(text, 0) end
  inner:message(text)
  inner:stop(STATUS)
end

function expectations.fail(session, _, message)
  if message == nil then message = "it fails" end
  tell(session, tostring(message))
end

--- The condition, as it was given.
function expectations.expect(session, _, condition, message)
  if not condition then tell(session, message == nil and "an expectation does not hold" or tostring(message)) end
  return condition
end

return expectations
