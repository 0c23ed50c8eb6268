-- SPDX-License-Identifier: MIT
-- Nothing gets a guest out of its folders, on neither way of keeping paths inside; and in a read-only folder it changes
-- nothing.

local c = require("spec.support.c")
local files = require("spec.support.files")
local guest = require("spec.support.guest")
local uv = require("luv")
local wasi = require("spec.support.wasi")
local wat = require("spec.support.wat")

local ways_out = {
  "..", "../", "../secret", "/", "/etc/passwd", "//etc/passwd", "d/../..", "d/../../secret", "d/./../../secret", "./../secret",
  "d/../../inside/file", "up", "up/", "up/secret", "up/../secret", "absolute", "absolute/", "absolute/secret", "to_proc",
  "to_proc/root/etc/passwd", "long_way", "chain", "d/out", "d/out/secret", "../" .. ("../"):rep(40) .. "etc/passwd",
}

for way, force_fallback in pairs(wasi.ways) do
  describe("a guest in a folder, with paths resolved " .. way .. ",", function()
    local outside, folder, app

    before_each(function()
      outside = files.temporary()
      folder = outside .. "/inside"
      files.make(folder .. "/d")
      files.write(folder .. "/file", "inside")
      files.write(outside .. "/secret", "SECRET")
      for link, target in pairs({
        up = "..", absolute = outside.path, to_proc = "/proc/self", long_way = "d/../../secret", chain = "d/out/secret",
        ["d/out"] = "../..",
      }) do
        uv.fs_symlink(target, folder .. "/" .. link)
      end
      app = wasi.open({ dirs = { folder .. "::/" }, force_fallback = force_fallback })
    end)
    after_each(function()
      guest.close_all()
      getmetatable(outside).__close(outside)
    end)

    -- What each function that takes a path says to a path that leads out.
    local calls = {
      open = function(path) return app.path_open(3, wasi.FOLLOW, path, 0, wasi.READ, 0, 0) end,
      open_folder = function(path) return app.path_open(3, wasi.FOLLOW, path, wasi.DIRECTORY, wasi.FOLDER, wasi.ALL, 0) end,
      -- A new name behind a last slash, since to create with one is EISDIR whatever it is.
      create = function(path)
        return app.path_open(3, wasi.FOLLOW, (path:gsub("/$", "/new")), wasi.CREAT, wasi.FILE, 0, 0)
      end,
      status = function(path) return app.path_filestat_get(3, wasi.FOLLOW, path) end,
      set_times = function(path) return app.path_filestat_set_times(3, wasi.FOLLOW, path, 1, 1, wasi.MTIM) end,
      below_open = function(path) return app.path_open(3, 0, path .. "/x", wasi.CREAT, wasi.FILE, 0, 0) end,
      below_status = function(path) return app.path_filestat_get(3, 0, path .. "/secret") end,
      below_readlink = function(path) return app.path_readlink(3, path .. "/secret", 100) end,
      below_mkdir = function(path) return app.path_create_directory(3, path .. "/new") end,
      below_rmdir = function(path) return app.path_remove_directory(3, path .. "/inside/d") end,
      below_unlink = function(path) return app.path_unlink_file(3, path .. "/secret") end,
      below_rename_from = function(path) return app.path_rename(3, path .. "/secret", 3, "mine") end,
      below_rename_to = function(path) return app.path_rename(3, "file", 3, path .. "/theirs") end,
      below_link_from = function(path) return app.path_link(3, 0, path .. "/secret", 3, "mine") end,
      below_link_to = function(path) return app.path_link(3, 0, "file", 3, path .. "/theirs") end,
      below_symlink = function(path) return app.path_symlink("x", 3, path .. "/theirs") end,
      -- With a slash behind it the kernel itself would follow a last link.
      slash_link = function(path) return app.path_link(3, 0, path .. "/", 3, "mine") end,
      slash_status = function(path) return app.path_filestat_get(3, 0, path .. "/") end,
    }

    for name, call in pairs(calls) do
      it("cannot leave it: " .. name, function()
        for _, path in ipairs(ways_out) do assert.equal("ENOTCAPABLE", (call(path)), path) end
        assert.same({ "inside", "secret" }, files.list(outside.path))
        assert.equal("SECRET", files.read(outside .. "/secret"))
        assert.same({ "absolute", "chain", "d", "file", "long_way", "to_proc", "up" }, files.list(folder))
      end)
    end

    it("cannot leave it by a link of its own making", function()
      assert.equal("ENOTCAPABLE", (app.path_symlink("/etc", 3, "mine")))
      assert.equal("ESUCCESS", (app.path_symlink("../secret", 3, "mine")))
      assert.equal("ENOTCAPABLE", (app.path_open(3, wasi.FOLLOW, "mine", 0, wasi.READ, 0, 0)))
      assert.equal("ESUCCESS", (app.path_link(3, 0, "mine", 3, "copy")))
      assert.equal("ENOTCAPABLE", (app.path_open(3, wasi.FOLLOW, "copy", 0, wasi.READ, 0, 0)))
    end)

    it("cannot leave it from a folder inside that has been moved", function()
      files.make(folder .. "/a/b/c")
      local _, moved = app.path_open(3, 0, "a/b/c", wasi.DIRECTORY, wasi.FOLDER, wasi.ALL, 0)
      assert.equal("ESUCCESS", (app.path_rename(3, "a/b/c", 3, "c")))
      assert.equal("ENOTCAPABLE", (app.path_open(moved, 0, "../../secret", 0, wasi.READ, 0, 0)))
      assert.equal("ENOTCAPABLE", (app.path_open(moved, 0, "..", 0, 0, 0, 0)))
    end)

    it("cannot leave it while others swap what it names for links, and move what it is in", function()
      local root <close> = files.temporary()
      for name, text in pairs({
        ["secret"] = "OUT", ["outside/file"] = "OUT", ["outside/secret"] = "OUT",
        ["inside/swapped/file"] = "in", ["inside/spare/file"] = "in", ["inside/moved/sub/deep/file"] = "in",
      }) do
        local path = root .. "/" .. name
        files.make(path:match("^(.*)/"))
        files.write(path, text)
      end
      uv.fs_symlink("../outside", root .. "/inside/out")
      uv.fs_symlink(root .. "/outside", root .. "/inside/away")
      files.write(root .. "/guest.wasm", wat(wasi.guest_text("wasi_snapshot_preview1")))
      local how = force_fallback and "fallback" or "openat2"
      assert.equal("opened, 0 escapes\n", c("wasi_race", root .. "/guest.wasm", root.path, how, "1500"))
    end)

    it("can open no device but the harmless ones", function()
      if uv.getuid() ~= 0 then return pending("devices can be made by root only") end
      os.execute(("mknod %s/null c 1 3; mknod %s/kmsg c 1 11; mknod %s/disk b 7 0"):format(folder, folder, folder))
      assert.equal("ESUCCESS", (app.path_open(3, 0, "null", 0, wasi.READ, 0, 0)))
      assert.equal("ENOTCAPABLE", (app.path_open(3, 0, "kmsg", 0, wasi.READ, 0, 0)))
      assert.not_equal("ESUCCESS", (app.path_open(3, 0, "disk", 0, wasi.READ, 0, 0)))
    end)
  end)

  describe("a read-only folder, with paths resolved " .. way .. ",", function()
    local folder, other, app

    before_each(function()
      folder, other = files.temporary(), files.temporary()
      files.make(folder .. "/d")
      files.write(folder .. "/file", "content")
      app = wasi.open({ dirs = { folder .. "::/:ro", other .. "::other" }, force_fallback = force_fallback })
      files.write(other .. "/mine", "")
    end)
    after_each(function()
      guest.close_all()
      getmetatable(folder).__close(folder)
      getmetatable(other).__close(other)
    end)

    it("can be read", function()
      local _, fd = app.path_open(3, 0, "file", wasi.CREAT, wasi.READ | wasi.SET_TIMES, 0, 0)
      assert.same({ "ESUCCESS", 7, "content" }, { app.fd_read(fd, { 100 }) })
      assert.equal("EROFS", (app.fd_filestat_set_times(fd, 1, 1, wasi.MTIM)))
      assert.equal("ESUCCESS", (app.path_filestat_get(3, 0, "file")))
      assert.equal("ESUCCESS", (app.fd_readdir(3, 1000, 0)))
    end)

    it("is not changed by anything", function()
      local _, sub = app.path_open(3, 0, "d", wasi.DIRECTORY, wasi.FOLDER, wasi.ALL, 0)
      for name, errno in pairs({
        write = app.path_open(3, 0, "file", 0, wasi.READ | wasi.WRITE, 0, 0),
        create = app.path_open(3, 0, "new", wasi.CREAT, wasi.READ, 0, 0),
        create_below = app.path_open(sub, 0, "new", wasi.CREAT, wasi.FILE, 0, 0),
        truncate = app.path_open(3, 0, "file", wasi.TRUNC, wasi.READ, 0, 0),
        create_directory = app.path_create_directory(3, "new"),
        create_directory_below = app.path_create_directory(sub, "new"),
        remove_directory = app.path_remove_directory(3, "d"),
        unlink = app.path_unlink_file(3, "file"),
        rename_from = app.path_rename(3, "file", 4, "theirs"),
        rename_to = app.path_rename(4, "mine", 3, "theirs"),
        link_from = app.path_link(3, 0, "file", 4, "theirs"),
        link_to = app.path_link(4, 0, "mine", 3, "theirs"),
        symlink = app.path_symlink("x", 3, "theirs"),
        set_times = app.path_filestat_set_times(3, 0, "file", 1, 1, wasi.MTIM),
      }) do
        assert.equal("EROFS", errno, name)
      end
      assert.equal("EEXIST", (app.path_open(3, 0, "file", wasi.CREAT | wasi.EXCL, wasi.READ, 0, 0)))
      assert.equal("ENOENT", (app.path_open(3, 0, "none", 0, wasi.FILE, 0, 0)))
      assert.same({ "d", "file" }, files.list(folder.path))
      assert.same({ "mine" }, files.list(other.path))
      assert.equal("content", files.read(folder .. "/file"))
    end)
  end)
end
