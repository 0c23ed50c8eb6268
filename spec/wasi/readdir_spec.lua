-- SPDX-License-Identifier: MIT
-- fd_readdir: cookies, buffers of any size, folders that change: core/wasi/readdir.c.

local files = require("spec.support.files")
local guest = require("spec.support.guest")
local uv = require("luv")
local wasi = require("spec.support.wasi")

local edge = wasi.memory_size

-- The whole entries of a buffer: { name =, next =, inode =, type = }.
local function entries(text)
  local list, at = {}, 1
  while at + 24 <= #text + 1 do
    local next_cookie, inode, length, type = ("<i8I8I4I1"):unpack(text, at)
    if at + 24 + length > #text + 1 then break end
    list[#list + 1] = { name = text:sub(at + 24, at + 23 + length), next = next_cookie, inode = inode, type = type }
    at = at + 24 + length
  end
  return list
end

describe("fd_readdir", function()
  local folder, app

  before_each(function()
    folder = files.temporary()
    app = wasi.open({ dirs = { folder .. "::/" } })
  end)
  after_each(function()
    guest.close_all()
    getmetatable(folder).__close(folder)
  end)

  local function make_many(count)
    for i = 1, count do files.write(("%s/file%d"):format(folder, i), "") end
  end

  -- All names, read with buffers of that size; `each` is called after each buffer.
  local function listed(size, each)
    local names, cookie = {}, 0
    while true do
      local errno, used, text = app.fd_readdir(3, size, cookie)
      assert.equal("ESUCCESS", errno)
      local found = entries(text)
      for _, entry in ipairs(found) do
        names[#names + 1] = entry.name
        cookie = entry.next
      end
      if each then each(found) end
      if used < size then return names end
      assert(#found > 0, "no progress")
    end
  end

  it("lists an empty folder: itself and its parent, which outside of a preopened folder is the folder itself", function()
    local _, _, text = app.fd_readdir(3, 1000, 0)
    local list = entries(text)
    table.sort(list, function(a, b) return a.name < b.name end)
    local inode = uv.fs_stat(folder.path).ino
    assert.equal(2, #list)
    for i, name in ipairs({ ".", ".." }) do
      assert.same({ name, inode, 3 }, { list[i].name, list[i].inode, list[i].type })
    end
  end)

  it("tells the parent of a folder inside", function()
    files.make(folder .. "/sub")
    local _, sub = app.path_open(3, 0, "sub", wasi.DIRECTORY, wasi.FOLDER, wasi.ALL, 0)
    local _, _, text = app.fd_readdir(sub, 1000, 0)
    for _, entry in ipairs(entries(text)) do
      assert.equal(uv.fs_stat(folder .. (entry.name == "." and "/sub" or "")).ino, entry.inode)
    end
  end)

  for _, size in ipairs({ 40, 100, 256, 4096, 40000 }) do
    it("lists every entry once with buffers of " .. size .. " bytes", function()
      make_many(300)
      local seen, count = {}, 0
      for _, name in ipairs(listed(size)) do
        assert.is_nil(seen[name])
        seen[name], count = true, count + 1
      end
      assert.equal(302, count)
    end)
  end

  it("fills the buffer, the last entry cut off", function()
    make_many(10)
    local _, used, text = app.fd_readdir(3, 60, 0)
    assert.same({ 60, 2 }, { used, #entries(text) })
  end)

  it("goes on from any cookie, as often as asked", function()
    make_many(50)
    local _, _, text = app.fd_readdir(3, 8000, 0)
    local all = entries(text)
    for i = 1, #all - 1, 7 do
      local _, _, rest = app.fd_readdir(3, 8000, all[i].next)
      assert.equal(all[i + 1].name, entries(rest)[1].name)
      assert.equal(#all - i, #entries(rest))
    end
  end)

  it("misses nothing that stays while what was listed is removed", function()
    make_many(300)
    local removed = 0
    listed(200, function(found)
      for _, entry in ipairs(found) do
        if entry.type == 4 then
          assert.equal("ESUCCESS", (app.path_unlink_file(3, entry.name)))
          removed = removed + 1
        end
      end
    end)
    assert.equal(300, removed)
  end)

  it("is refused on what is no folder, without the right, and with what cannot be a cookie or a buffer", function()
    assert.equal("ENOTDIR", (app.fd_readdir(wasi.file(app, "file", wasi.CREAT), 100, 0)))
    assert.equal("ENOTDIR", (app.fd_readdir(0, 100, 0)))
    assert.equal("EBADF", (app.fd_readdir(9, 100, 0)))
    assert.equal("EINVAL", (app.fd_readdir(3, 100, -1)))
    assert.equal("EFAULT", app.raw.fd_readdir(3, edge - 9, 10, 0, 512))
    assert.equal("EFAULT", app.raw.fd_readdir(3, 512, 10, 0, edge - 3))
    assert.equal("ESUCCESS", app.raw.fd_readdir(3, edge, 0, 0, 512))
    local _, sub = app.path_open(3, 0, ".", wasi.DIRECTORY, wasi.FOLDER & ~(1 << 14), 0, 0)
    assert.equal("ENOTCAPABLE", (app.fd_readdir(sub, 100, 0)))
  end)
end)
