-- SPDX-License-Identifier: MIT
-- Paths, opening, folders, links: core/wasi/path.c, resolve.c, on both ways of keeping paths inside.

local files = require("spec.support.files")
local guest = require("spec.support.guest")
local uv = require("luv")
local wasi = require("spec.support.wasi")

local edge = wasi.memory_size

for way, force_fallback in pairs(wasi.ways) do
  describe("a path, resolved " .. way .. ",", function()
    local folder, app

    before_each(function()
      folder = files.temporary()
      files.make(folder .. "/d/e")
      files.write(folder .. "/file", "content")
      files.write(folder .. "/d/e/inner", "inner")
      for link, target in pairs({ to_file = "d/e/inner", to_folder = "d/e", loop = "loop", dangling = "nothing" }) do
        uv.fs_symlink(target, folder .. "/" .. link)
      end
      app = wasi.open({ dirs = { folder .. "::/" }, force_fallback = force_fallback })
    end)
    after_each(function()
      guest.close_all()
      getmetatable(folder).__close(folder)
    end)

    -- What opening it says; if it can be opened, its content too.
    local function opened(path, oflags, lookup, rights)
      local errno, fd = app.path_open(3, lookup or wasi.FOLLOW, path, oflags or 0, rights or wasi.READ, 0, 0)
      if errno ~= "ESUCCESS" then return errno end
      local _, _, content = app.fd_read(fd, { 100 })
      app.fd_close(fd)
      return content or "a folder"
    end

    it("is opened through folders, dots, slashes and links", function()
      for path, content in pairs({
        ["file"] = "content", ["./file"] = "content", ["d//e/./inner"] = "inner", ["d/e/../../file"] = "content",
        ["to_file"] = "inner", ["to_folder/inner"] = "inner", ["to_folder/../e/inner"] = "inner",
        ["d/e/"] = "a folder", ["to_folder/"] = "a folder", ["."] = "a folder", ["d/.."] = "a folder",
      }) do
        assert.equal(content, opened(path), path)
      end
    end)

    it("is refused where there is nothing to open", function()
      for path, errno in pairs({
        ["none"] = "ENOENT", ["none/file"] = "ENOENT", ["file/"] = "ENOTDIR", ["file/x"] = "ENOTDIR", ["to_file/"] = "ENOTDIR",
        ["loop"] = "ELOOP", ["loop/x"] = "ELOOP", ["dangling"] = "ENOENT", ["to_folder/../inner"] = "ENOENT", [""] = "ENOENT",
        ["file\0"] = "EINVAL", ["a\0b"] = "EINVAL", [("x"):rep(300)] = "ENAMETOOLONG", [("x/"):rep(3000)] = "ENAMETOOLONG",
      }) do
        assert.equal(errno, opened(path), path)
      end
    end)

    it("follows a last link only where that is asked for", function()
      assert.equal("ELOOP", opened("to_file", 0, 0))
      assert.equal("ELOOP", opened("dangling", 0, 0))
      assert.equal("ENOTDIR", opened("to_folder", wasi.DIRECTORY, 0))
      assert.equal("inner", opened("to_folder/inner", 0, 0))
      assert.equal("ELOOP", opened("to_file", wasi.CREAT, 0))
    end)

    it("creates, truncates, and minds what is there already", function()
      assert.equal("", opened("new", wasi.CREAT))
      assert.equal("EEXIST", opened("new", wasi.CREAT | wasi.EXCL))
      assert.equal("EEXIST", opened("dangling", wasi.CREAT | wasi.EXCL))
      assert.equal("", opened("dangling", wasi.CREAT))
      assert.is_true(files.exists(folder .. "/nothing"))
      assert.equal("EISDIR", opened("other/", wasi.CREAT))
      assert.equal("ENOTDIR", opened("file", wasi.DIRECTORY))
      assert.equal("EISDIR", opened("d", wasi.DIRECTORY, 0, wasi.READ | wasi.WRITE))
      assert.equal("content", opened("file", 0, 0, wasi.FILE))
      assert.equal("", opened("file", wasi.TRUNC))
      assert.equal("", files.read(folder .. "/file"))
    end)

    it("knows no other flags than the specification's, and starts at a folder", function()
      assert.equal("EINVAL", (app.path_open(3, 2, "file", 0, 0, 0, 0)))
      assert.equal("EINVAL", (app.path_open(3, 0, "file", 16, 0, 0, 0)))
      assert.equal("EINVAL", (app.path_open(3, 0, "file", 0, 0, 0, 32)))
      assert.equal("EBADF", (app.path_open(9, 0, "file", 0, 0, 0, 0)))
      assert.equal("ENOTDIR", (app.path_open(wasi.file(app, "file"), 0, "file", 0, 0, 0, 0)))
      assert.equal("EFAULT", app.raw.path_open(3, 0, edge - 1, 2, 0, 0, 0, 0, 512))
      app.memory:write(512, "file")
      assert.equal("EFAULT", app.raw.path_open(3, 0, 512, 4, 0, 0, 0, 0, edge - 3))
    end)

    it("gives what is opened no right that its folder does not hand on", function()
      local _, sub = app.path_open(3, 0, "d", wasi.DIRECTORY, wasi.FOLDER, wasi.READ, 0)
      assert.equal("ESUCCESS", (app.path_open(sub, 0, "e/inner", 0, wasi.READ, 0, 0)))
      assert.equal("ENOTCAPABLE", (app.path_open(sub, 0, "e/inner", 0, wasi.READ | wasi.WRITE, 0, 0)))
      assert.equal("ENOTCAPABLE", (app.path_open(sub, 0, "e/inner", 0, wasi.READ, 0, wasi.SYNC)))
      local without_create = wasi.FOLDER & ~(1 << 10)
      assert.equal("ESUCCESS", (app.fd_fdstat_set_rights(sub, without_create, wasi.READ)))
      assert.equal("ENOTCAPABLE", (app.path_open(sub, 0, "new", wasi.CREAT, wasi.READ, 0, 0)))
      local _, stat = app.fd_fdstat_get(sub)
      assert.same({ 3, without_create, wasi.READ }, { stat.type, stat.rights, stat.inheriting })
    end)

    it("opens a pipe without waiting for the other end", function()
      assert.equal(0, os.execute("mkfifo " .. folder .. "/pipe") and 0)
      local read, write = wasi.file(app, "pipe", 0, wasi.READ), wasi.file(app, "pipe", 0, wasi.WRITE, wasi.NONBLOCK)
      app.fd_write(write, { "through" })
      assert.same({ "ESUCCESS", 7, "through" }, { app.fd_read(read, { 100 }) })
      app.fd_close(read)
      assert.equal("ENXIO", (app.path_open(3, 0, "pipe", 0, wasi.WRITE, 0, wasi.NONBLOCK)))
    end)

    it("makes and removes folders and files", function()
      for _, case in ipairs({
        { "path_create_directory", "new", "ESUCCESS" }, { "path_create_directory", "new", "EEXIST" },
        { "path_create_directory", "new/sub/", "ESUCCESS" }, { "path_create_directory", "none/sub", "ENOENT" },
        { "path_create_directory", ".", "EEXIST" }, { "path_create_directory", "d/..", "EEXIST" },
        { "path_remove_directory", "new", "ENOTEMPTY" }, { "path_remove_directory", "new/sub/", "ESUCCESS" },
        { "path_remove_directory", "new", "ESUCCESS" }, { "path_remove_directory", "file", "ENOTDIR" },
        { "path_remove_directory", "to_folder", "ENOTDIR" }, { "path_remove_directory", ".", "EINVAL" },
        { "path_unlink_file", "d", "EISDIR" }, { "path_unlink_file", "d/", "EISDIR" },
        { "path_unlink_file", "file/", "ENOTDIR" },
        { "path_unlink_file", "to_file", "ESUCCESS" }, { "path_unlink_file", "to_file", "ENOENT" },
        { "path_unlink_file", "file", "ESUCCESS" },
      }) do
        assert.equal(case[3], (app[case[1]](3, case[2])), case[1] .. " " .. case[2])
      end
      assert.is_true(files.exists(folder .. "/d/e/inner"))
      assert.is_false(files.exists(folder .. "/file"))
    end)

    it("renames", function()
      for _, case in ipairs({
        { "file", "moved", "ESUCCESS" }, { "none", "x", "ENOENT" }, { "moved", "d", "EISDIR" }, { "d", "moved", "ENOTDIR" },
        { "d", "d/sub", "EINVAL" }, { ".", "x", "EBUSY" }, { "d/", "dd/", "ESUCCESS" }, { "moved", "dd/e/inner", "ESUCCESS" },
        { "dd/e/inner/", "x", "ENOTDIR" },
      }) do
        assert.equal(case[3], (app.path_rename(3, case[1], 3, case[2])), case[1] .. " to " .. case[2])
      end
      assert.equal("content", files.read(folder .. "/dd/e/inner"))
    end)

    it("makes and reads links", function()
      assert.equal("ESUCCESS", (app.path_symlink("d/e/inner", 3, "link")))
      assert.equal("inner", opened("link"))
      assert.same({ "ESUCCESS", 9, "d/e/inner" }, { app.path_readlink(3, "link", 100) })
      assert.same({ "ESUCCESS", 4, "d/e/" }, { app.path_readlink(3, "link", 4) })
      for path, errno in pairs({ file = "EINVAL", ["to_folder/"] = "EINVAL", none = "ENOENT" }) do
        assert.equal(errno, (app.path_readlink(3, path, 100)))
      end
      for target, cases in pairs({ x = { link = "EEXIST", ["new/"] = "ENOENT", ["d/"] = "EEXIST" }, [""] = { new = "ENOENT" },
                                   ["/etc"] = { new = "ENOTCAPABLE" } }) do
        for path, errno in pairs(cases) do assert.equal(errno, (app.path_symlink(target, 3, path)), path) end
      end
    end)

    it("makes hard links, of links too, but not of folders", function()
      assert.equal("ESUCCESS", (app.path_link(3, 0, "file", 3, "hard")))
      local _, status = app.path_filestat_get(3, 0, "hard")
      assert.equal(2, status.links)
      for _, case in ipairs({
        { 0, "file", "hard", "EEXIST" }, { 0, "d", "x", "EPERM" }, { 0, "d/", "x", "EPERM" }, { 0, ".", "x", "EPERM" },
        { 0, "file", "x/", "ENOENT" }, { 0, "none", "x", "ENOENT" }, { 1, "to_file", "x", "EINVAL" },
        { 0, "dangling", "copy", "ESUCCESS" },
      }) do
        assert.equal(case[4], (app.path_link(3, case[1], case[2], 3, case[3])), case[2] .. " as " .. case[3])
      end
      _, status = app.path_filestat_get(3, 0, "copy")
      assert.equal(7, status.type)
    end)

    it("tells and sets the status of a link or of what it leads to", function()
      local _, link = app.path_filestat_get(3, 0, "to_file")
      local _, file = app.path_filestat_get(3, wasi.FOLLOW, "to_file")
      assert.same({ 7, 4, 5 }, { link.type, file.type, file.size })
      assert.equal("ESUCCESS", (app.path_filestat_set_times(3, 0, "to_file", 0, 7, wasi.MTIM)))
      assert.equal("ESUCCESS", (app.path_filestat_set_times(3, wasi.FOLLOW, "to_file", 0, 9, wasi.MTIM)))
      _, link = app.path_filestat_get(3, 0, "to_file")
      _, file = app.path_filestat_get(3, 0, "d/e/inner")
      assert.same({ 7, 9 }, { link.mtim, file.mtim })
      assert.equal("EINVAL", (app.path_filestat_set_times(3, 0, "file", 0, 0, wasi.MTIM | wasi.MTIM_NOW)))
      assert.equal("EINVAL", (app.path_filestat_get(3, 2, "file")))
      assert.equal("ENOENT", (app.path_filestat_get(3, wasi.FOLLOW, "dangling")))
      app.memory:write(512, "file")
      assert.equal("EFAULT", app.raw.path_filestat_get(3, 0, 512, 4, edge - 63))
    end)
  end)
end
