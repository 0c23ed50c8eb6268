-- SPDX-License-Identifier: MIT
-- Arguments, variables, exit, signals: core/wasi/proc.c.

local guest = require("spec.support.guest")
local wasi = require("spec.support.wasi")

local edge = wasi.memory_size

-- The strings that a …_get leaves, by its array of addresses.
local function strings(app, get, count)
  assert.equal("ESUCCESS", app.raw[get](512, 4096))
  local list = {}
  for i = 1, count do list[i] = app.memory:cstring(app.memory:u32(512 + 4 * (i - 1))) end
  return list
end

describe("arguments and variables", function()
  after_each(guest.close_all)

  it("are as given, in order, the empty one too", function()
    local app = wasi.open({ args = { "program", "", "zwölf" }, env = { "A=1", "B=x=y" } })
    assert.same({ "ESUCCESS", 3, 16 }, { app.args_sizes_get() })
    assert.same({ "program", "", "zwölf" }, strings(app, "args_get", 3))
    assert.same({ "ESUCCESS", 2, 10 }, { app.environ_sizes_get() })
    assert.same({ "A=1", "B=x=y" }, strings(app, "environ_get", 2))
  end)

  it("are none when none are given", function()
    local app = wasi.open()
    assert.same({ "ESUCCESS", 0, 0 }, { app.args_sizes_get() })
    assert.equal("ESUCCESS", app.raw.environ_get(edge, edge))
  end)

  it("are EFAULT where they do not fit, and nothing is written then", function()
    local app = wasi.open({ args = { "program" } })
    app.memory:write(512, "\xee\xee\xee\xee")
    for _, addresses in ipairs({ { edge - 3, 0 }, { 512, edge - 7 }, { 0xffffffff, 0 }, { 512, 0xffffffff } }) do
      assert.equal("EFAULT", app.raw.args_get(table.unpack(addresses)))
    end
    assert.equal("EFAULT", app.raw.args_sizes_get(512, edge - 3))
    assert.equal("\xee\xee\xee\xee", app.memory:string(512, 4))
    assert.equal("ESUCCESS", app.raw.args_get(512, edge - 8))
  end)
end)

describe("proc_exit", function()
  after_each(guest.close_all)

  for _, code in ipairs({ 0, 1, 255, 256, -1 }) do
    it("ends the run with the exact code " .. code, function()
      local app = wasi.open()
      local err = guest.failure(app.raw.proc_exit, code)
      assert.equal("exit", err.kind)
      assert.equal(code, err.code)
    end)
  end
end)

describe("proc_raise", function()
  after_each(guest.close_all)

  it("ends the guest, not the process, by a signal that ends a process", function()
    for signal, code in pairs({ [2] = 130, [6] = 134, [9] = 137, [15] = 143, [30] = 159 }) do
      local err = guest.failure(wasi.open().raw.proc_raise, signal)
      assert.equal("exit", err.kind)
      assert.equal(code, err.code)
      guest.close_all()
    end
  end)

  it("does nothing with those that are ignored, and refuses the rest", function()
    local app = wasi.open()
    for signal, errno in pairs({ [0] = "ESUCCESS", [13] = "ESUCCESS", [16] = "ESUCCESS", [18] = "ENOTSUP", [31] = "EINVAL",
                                 [-1] = "EINVAL" }) do
      assert.equal(errno, app.raw.proc_raise(signal), signal)
    end
  end)
end)

describe("sched_yield", function()
  after_each(guest.close_all)
  it("succeeds", function() assert.equal("ESUCCESS", wasi.open().raw.sched_yield()) end)
end)
