-- SPDX-License-Identifier: MIT
-- core/wasi/words.c from Lua: folders and addresses as people write them, and what else wasi= takes.

local files = require("spec.support.files")
local guest = require("spec.support.guest")
local uv = require("luv")
local wasi = require("spec.support.wasi")

local function names(app)
  local list = {}
  for fd = 3, 9 do
    local errno, stat = app.fd_prestat_get(fd)
    if errno ~= "ESUCCESS" then break end
    list[#list + 1] = select(2, app.fd_prestat_dir_name(fd, stat.length))
  end
  return list
end

describe("a folder in words", function()
  after_each(guest.close_all)

  it("has a name for the guest, and may be read only", function()
    local folder <close> = files.temporary()
    local dirs = { folder .. "::/w", folder .. "::/r:ro", folder .. "::/x:rw", folder.path, folder .. ":ro" }
    local app = wasi.open { dirs = dirs }
    assert.same({ "/w", "/r", "/x", folder.path, folder.path }, names(app))
    for fd, errno in pairs({ [3] = "ESUCCESS", [4] = "EROFS", [5] = "ESUCCESS", [6] = "ESUCCESS", [7] = "EROFS" }) do
      assert.equal(errno, (app.path_create_directory(fd, "d" .. fd)))
    end
  end)

  it("may hold a colon where the guest's name follows", function()
    local folder <close> = files.temporary()
    files.make(folder .. "/a:b")
    assert.same({ "/x" }, names(wasi.open { dirs = { folder .. "/a:b::/x" } }))
  end)

  it("is refused with anything else behind a colon", function()
    for text, message in pairs({
      ["d:r"] = 'folder "d:r": behind the colon stands ro or rw, not "r"',
      ["d::/x:wr"] = 'folder "d::/x:wr": behind the colon stands ro or rw, not "wr"',
      ["::/x"] = 'folder "::/x": it looks like this: HOST[::GUEST][:ro|rw]',
    }) do
      local good, err = pcall(wasi.open, { dirs = { text } })
      assert.is_false(good)
      assert.same({ "usage", message }, { err.kind, err.message })
    end
  end)
end)

describe("wasi.listen", function()
  after_each(guest.close_all)

  it("gives listening sockets behind those that are handed in", function()
    local pair = uv.socketpair("stream", nil, { nonblock = false }, { nonblock = false })
    local app = wasi.open { sockets = { pair[1] }, listen = { "127.0.0.1:0" } }
    assert.equal("ESUCCESS", (app.fd_fdstat_set_flags(4, wasi.NONBLOCK)))
    assert.equal("EAGAIN", (app.sock_accept(4, 0)))
    for _, fd in ipairs(pair) do uv.fs_close(fd) end
  end)

  it("is refused where it is no address", function()
    local good, err = pcall(wasi.open, { listen = { "127.0.0.1:0", "nowhere" } })
    assert.is_false(good)
    assert.equal("usage", err.kind)
    assert.equal('address "nowhere": it looks like this: HOST:PORT, [::1]:PORT or :PORT', err.message)
  end)
end)

describe("wasi.inherit_env", function()
  after_each(guest.close_all)

  it("adds the variables of the process", function()
    local home = os.getenv("PATH")
    local app = wasi.open { env = { ZZ = "1" }, inherit_env = true }
    local _, _, size = app.environ_sizes_get()
    app.raw.environ_get(4096, 16384)
    local all = app.memory:string(16384, size)
    assert.equal("ZZ=1\0", all:sub(1, 5))
    assert.matches("\0PATH=" .. home .. "\0", all, 1, true)
  end)
end)

describe("stub_imports", function()
  after_each(guest.close_all)

  it("lets what nobody has trap when it is called", function()
    local session = guest.session()
    local wat = require("spec.support.wat")
    local module = session.module(wat([[(module (import "env" "gone" (func $gone (param i32)))
      (func (export "f") (call $gone (i32.const 1))))]]))
    assert.is_false((pcall(session.instantiate, module)))
    local instance = session.instantiate(module, { stub_imports = true })
    local good, err = pcall(instance.invoke, instance, "f")
    assert.is_false(good)
    assert.same({ "trap", "unknown import", "unknown import: env.gone was called" }, { err.kind, err.code, err.message })
  end)
end)
