-- SPDX-License-Identifier: MIT
-- Clocks and random bytes: core/wasi/clock.c, random.c.

local guest = require("spec.support.guest")
local wasi = require("spec.support.wasi")

local edge = wasi.memory_size
local realtime, monotonic, process, thread = 0, 1, 2, 3

describe("the clocks", function()
  after_each(guest.close_all)

  it("are four, each with a resolution", function()
    local app = wasi.open()
    for _, id in ipairs({ realtime, monotonic, process, thread }) do
      local errno, resolution = app.clock_res_get(id)
      assert.equal("ESUCCESS", errno)
      assert.is_true(resolution > 0)
      assert.equal("ESUCCESS", (app.clock_time_get(id, 0)))
    end
    for _, id in ipairs({ 4, -1 }) do
      assert.equal("EINVAL", (app.clock_res_get(id)))
      assert.equal("EINVAL", (app.clock_time_get(id, 0)))
    end
  end)

  it("tell the time of day, and never go back", function()
    local app = wasi.open()
    local _, now = app.clock_time_get(realtime, 0)
    assert.is_true(math.abs(now // 1000000000 - os.time()) <= 2)
    local last = 0
    for _ = 1, 100 do
      local _, time = app.clock_time_get(monotonic, 0)
      assert.is_true(time >= last)
      last = time
    end
  end)

  it("answer EFAULT where the time does not fit", function()
    local app = wasi.open()
    assert.equal("EFAULT", app.raw.clock_time_get(realtime, 0, edge - 7))
    assert.equal("EFAULT", app.raw.clock_res_get(realtime, 0xffffffff))
    assert.equal("ESUCCESS", app.raw.clock_time_get(realtime, 0, edge - 8))
  end)
end)

describe("random_get", function()
  after_each(guest.close_all)

  it("fills the whole buffer, and no more", function()
    local app = wasi.open()
    app.memory:write(3000, ("\0"):rep(6000))
    assert.equal("ESUCCESS", app.raw.random_get(4000, 4000))
    local text = app.memory:string(4000, 4000)
    local _, zeros = text:gsub("\0", "")
    assert.is_true(zeros < 100)
    assert.equal(("\0"):rep(1000), app.memory:string(3000, 1000))
    assert.equal(("\0"):rep(1000), app.memory:string(8000, 1000))
  end)

  it("takes an empty buffer at the end of memory, and none beyond", function()
    local app = wasi.open()
    assert.equal("ESUCCESS", app.raw.random_get(edge, 0))
    assert.equal("EFAULT", app.raw.random_get(edge + 1, 0))
    assert.equal("EFAULT", app.raw.random_get(1, edge))
    assert.equal("EFAULT", app.raw.random_get(0xffffffff, 0xffffffff))
  end)
end)

describe("a deterministic run", function()
  after_each(guest.close_all)

  local function seen()
    local app = wasi.open({ deterministic = true })
    local _, day = app.clock_time_get(realtime, 0)
    local _, later = app.clock_time_get(monotonic, 0)
    local _, bytes = app.random_get(32)
    guest.close_all()
    return { day, later, bytes }
  end

  it("sees the same times and the same random bytes again", function() assert.same(seen(), seen()) end)
end)
