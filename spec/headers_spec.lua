-- SPDX-License-Identifier: MIT
-- The door's headers are manuals: each says who owns what and on which threads, each function what it does and how it fails.

local command = require("spec.support.command")
local files = require("spec.support.files")

local folder = "core/include/lunette/"

-- The comments and declarations of a header, in pieces between empty lines: { { comment =, name =, must_check = }, … }. What
-- stands above a declaration in its piece, or behind it, is its comment; a piece begins with that of the piece.
local function declarations(text)
  local list = {}
  for piece in (text .. "\n\n"):gmatch("(.-)\n\n") do
    local comment, above, current = "", "", nil
    for line in (piece .. "\n"):gmatch("(.-)\n") do
      if line:find("^/%*") then comment = "" end
      if line:find("^/%*") or line:find("^ %*") then
        comment, above, current = comment .. line .. "\n", above .. line, nil
      elseif line:find("^LUN_API") then
        current = { name = line:match("(lun_[%w_]+)%s*%("), comment = comment, above = above,
                    must_check = line:find("LUN_MUST_CHECK", 1, true) ~= nil }
        list[#list + 1] = current
      end
      if current and line:find("/%*") then current.above = current.above .. line end
    end
  end
  return list
end

describe("each public header", function()
  for _, name in ipairs(files.list(folder)) do
    local text = files.read(folder .. name)

    it(name .. " says on which threads it may be used, before anything else", function()
      local head = text:match("^/%* SPDX[^\n]*\n(/%*.-%*/)\n#ifndef LUNETTE_")
      assert.is_truthy(head, "no comment at the head")
      assert.is_truthy(head:find("%f[%a][Tt]hreads"), head)
    end)

    it(name .. " describes each function, and how it fails where that must be checked", function()
      for _, one in ipairs(declarations(text)) do
        assert.is_truthy(one.name, text)
        assert.is_true(one.above ~= "", one.name .. " has no comment")
        if one.must_check then
          assert.is_truthy(one.comment:find("ails?") or one.comment:find("LUN_[A-Z]"), one.name .. " does not say how it fails")
        end
      end
    end)

    it(name .. " can be included alone, in C11 and in C++", function()
      local directory <close> = files.temporary()
      files.write(directory .. "/alone.c", ("#include <lunette/%s>\nint main(void) { return 0; }\n"):format(name))
      for compiler, dialect in pairs({ cc = "-std=c11", ["c++"] = "-std=c++17" }) do
        if compiler == "cc" or command.run("sh", { "-c", "command -v c++" }).status == 0 then
          local language = compiler == "cc" and "c" or "c++"
          local result = command.run(compiler, { dialect, "-pedantic", "-Wall", "-Wextra", "-Werror", "-fsyntax-only",
            "-x", language, "-I", "core/include", directory .. "/alone.c" })
          assert.equal("", result.stderr)
          assert.equal(0, result.status)
        end
      end
    end)
  end
end)

describe("the public headers", function()
  it("give each name to one thing: a type is declared in one of them", function()
    local first = {}
    for _, name in ipairs(files.list(folder)) do
      for type in files.read(folder .. name):gmatch("\ntypedef struct lun_[%w_]+ (lun_[%w_]+);") do
        assert.is_nil(first[type], ("%s is declared in %s and in %s"):format(type, tostring(first[type]), name))
        first[type] = name
      end
    end
    assert.equal("listener.h", first.lun_attachment)
  end)
end)
