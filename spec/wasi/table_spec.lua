-- SPDX-License-Identifier: MIT
-- The table of functions: what the specification has, no more and no less, and every row makes an import of both modules.

local guest = require("spec.support.guest")
local wasi = require("spec.support.wasi")

describe("the table of WASI functions", function()
  after_each(guest.close_all)

  it("has the 46 functions of preview 1, each with as many names and kinds as parameters", function()
    assert.equal(46, #wasi.rows)
    for _, row in ipairs(wasi.rows) do
      local params = row.signature:match("^(.*):")
      assert.equal(#params, #row.params, row.name)
      assert.equal(#params, #row.kinds, row.name)
    end
  end)

  it("numbers the errors as the specification does", function()
    for number, name in pairs({ [0] = "ESUCCESS", [8] = "EBADF", [28] = "EINVAL", [44] = "ENOENT", [52] = "ENOSYS",
                                [63] = "EPERM", [75] = "EXDEV", [76] = "ENOTCAPABLE" }) do
      assert.equal(name, wasi.errnos[number])
    end
    assert.equal(76, #wasi.errnos)
  end)

  it("makes all imports of wasi_snapshot_preview1, and of wasi_unstable all but sock_accept", function()
    for module, count in pairs({ wasi_snapshot_preview1 = 46, wasi_unstable = 45 }) do
      local app, functions = wasi.open({ module = module }), 0
      for _ in pairs(app.raw) do functions = functions + 1 end
      assert.equal(count, functions)
      guest.close_all()
    end
  end)

  it("gives the imports the names of their parameters", function()
    local app = wasi.open()
    local definition = app.instance:functions("import:*.fd_write")[1].definition
    assert.same({ "fd", "iovs", "iovs_len", "nwritten" }, definition.param_names)
  end)
end)

describe("a guest without a memory", function()
  after_each(guest.close_all)

  it("gets EFAULT where memory is needed, and is served where it is not", function()
    local session = guest.session()
    local wat = require("spec.support.wat")
    local module = session.module(wat([[(module
      (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
      (import "wasi_snapshot_preview1" "fd_close" (func $close (param i32) (result i32)))
      (func (export "random") (result i32) (call $random (i32.const 0) (i32.const 0)))
      (func (export "close") (result i32) (call $close (i32.const 1))))]]))
    local app = session.instantiate(module, { wasi = {} })
    assert.equal("EFAULT", wasi.errnos[app:invoke("random")])
    assert.equal("ESUCCESS", wasi.errnos[app:invoke("close")])
  end)
end)
