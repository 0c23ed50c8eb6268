-- SPDX-License-Identifier: MIT
-- R7 at scale: thousands of attachments over tens of thousands of functions, and the most that one function can have.

local c = require("spec.support.c")
local fake_module = require("lunette.fake.module")
local files = require("spec.support.files")
local guest = require("spec.support.guest")

local failure = guest.failure

after_each(guest.close_all)

local FUNCTIONS = 20000

-- A module of so many functions (i32) -> i32, named f0, f1, …, whose table 0 has them all. Each gives 0: what they do stands
-- in memory 1, and there is nothing.
local function bytes_of(count, letter)
  local functions = {}
  for i = 0, count - 1 do
    functions[i + 1] = { name = (letter or "f") .. i, params = { "i32" }, results = { "i32" }, param_names = {}, index = i }
  end
  return fake_module.bytes({ name = "large", functions = functions, memory = { min = 1, data = {} } })
end

local function open(count)
  local session = guest.session()
  local instance = session.instantiate(session.module(bytes_of(count)))
  local functions = instance:table(0)
  -- Calls every step-th function, n times in all.
  local function call_all(step)
    local calls = 0
    for i = 0, count - 1, step do
      functions[i]:invoke(i)
      calls = calls + 1
    end
    return calls
  end
  return session, call_all, functions
end

describe("R7 one attachment to 20,000 functions", function()
  it("hears each, and none when it is detached", function()
    local session, call_all = open(FUNCTIONS)
    for round = 1, 3 do
      local heard, sum = 0, 0
      local attachment = session.on("*", { before = function(_, n) heard, sum = heard + 1, sum + n end })
      assert.equal(FUNCTIONS, attachment.functions, "round " .. round)
      call_all(1)
      attachment:detach()
      call_all(100)
      assert.same({ FUNCTIONS, FUNCTIONS * (FUNCTIONS - 1) // 2 }, { heard, sum })
    end
  end)
end)

describe("R7 2,000 attachments over 20,000 functions", function()
  it("each hear their own functions, come and go in any order, also in the middle of a call", function()
    local session, call_all, functions = open(FUNCTIONS)
    local heard, attachments = {}, {}
    for k = 1, 2000 do
      heard[k] = 0
      local function listener() heard[k] = heard[k] + 1 end
      local where = k % 3 == 0 and "=f" .. k or k % 3 == 1 and ("#%d-%d"):format(k, k + 10) or { "f" .. k .. "?", "!*5" }
      attachments[k] = session.on(where, listener)
    end
    local expected, functions_of = {}, { [0] = 1, 11, 9 }
    for k = 1, 2000 do expected[k] = functions_of[k % 3] end
    expected[2000] = 0 -- there is no f20000
    call_all(1)
    assert.same(expected, heard)
    -- The odd ones go: half of them now, half while a function that hears them is being called.
    for k = 1, 999, 2 do attachments[k]:detach() end
    local gone
    session.on("=f1500", function()
      for k = 1001, 2000, 2 do attachments[k]:detach() end
      gone = true
    end)
    functions[1500]:invoke(0)
    assert.is_true(gone)
    for k = 1, 2000 do heard[k] = 0 end
    call_all(1)
    for k = 1, 2000, 2 do expected[k] = 0 end
    assert.same(expected, heard)
    for k = 2, 2000, 2 do attachments[k]:detach() end
    call_all(1)
    assert.same(expected, heard)
  end)
end)

describe("listeners of one function", function()
  it("are any number where they come while no guest runs: R6", function()
    local session, _, functions = open(2)
    local order = {}
    for k = 1, 1000 do
      session.on("=f1", { before = function() order[#order + 1] = k end, after = function() order[#order + 1] = -k end })
    end
    functions[1]:invoke(0)
    assert.equal(2000, #order)
    for k = 1, 1000 do assert(order[k] == k and order[2001 - k] == -k, k) end
  end)

  it("are 112 at most where they come while it runs: one more is refused, and those that are there stay", function()
    local session, _, functions = open(2)
    local heard, refused = 0, nil
    local first
    first = session.on("=f0", function()
      for k = 1, 112 do session.on("=f1", function() heard = heard + 1 end, { name = "listener " .. k }) end
      refused = failure(session.on, "=f1", function() heard = heard + 1000 end)
      first:detach()
    end)
    functions[0]:invoke(0)
    assert.same({ "memory", "no room for 113 listeners on one function while the guest runs" },
      { refused.kind, refused.message })
    functions[1]:invoke(0)
    assert.equal(112, heard)
    session.on("=f1", function() heard = heard + 1000 end) -- at rest there is room again
    functions[1]:invoke(0)
    assert.equal(112 * 2 + 1000, heard)
  end)

  it("are 112 at most where they come with an instance that is made while a guest runs", function()
    local session, _, functions = open(1)
    local bytes, heard, problem = bytes_of(1, "g"), 0, nil
    for _ = 1, 113 do session.on("=g0", function() heard = heard + 1 end) end
    local first = session.on("=f0", function() problem = failure(session.instantiate, session.module(bytes)) end)
    functions[0]:invoke(0)
    assert.same({ "memory", "no room for 113 listeners on one function while the guest runs" },
      { problem.kind, problem.message })
    first:detach()
    session.instantiate(session.module(bytes)):table(0)[0]:invoke(0) -- at rest
    assert.equal(113, heard)
  end)
end)

describe("R7 at scale in C", function()
  it("holds: 3,000 attachments over 20,000 functions", function()
    local folder <close> = files.temporary()
    files.write(folder .. "/large.wasm", bytes_of(FUNCTIONS))
    assert.matches("^%d+ checks, 0 failed\n$", c("scale", folder .. "/large.wasm"))
  end)
end)
