-- SPDX-License-Identifier: MIT
-- The gate: every host call goes through one function, and host code writes guest memory through one checked accessor. Whoever
-- records a run's inputs stands there.

local command = require("spec.support.command")
local files = require("spec.support.files")
local wasi = require("spec.support.wasi")
local wat = require("spec.support.wat")

-- Those that give something besides their errno; what sockets give is not tried.
local writers = {
  "args_get", "args_sizes_get", "environ_get", "environ_sizes_get", "clock_res_get", "clock_time_get", "fd_fdstat_get",
  "fd_filestat_get", "fd_pread", "fd_prestat_get", "fd_prestat_dir_name", "fd_pwrite", "fd_read", "fd_readdir", "fd_seek",
  "fd_tell", "fd_write", "path_filestat_get", "path_open", "path_readlink", "poll_oneoff", "random_get",
}

local function sources(folder)
  local list = {}
  for _, name in ipairs(files.list(folder)) do
    if name:find("%.[ch]$") then list[#list + 1] = folder .. "/" .. name end
  end
  return list
end

local function code_of(path) return (files.read(path):gsub("/%*.-%*/", "")) end

describe("the gate", function()
  it("is passed by every host call, and all that host code changes in memory it was handed for writing", function()
    local folder <close> = files.temporary()
    files.make(folder .. "/d")
    files.write(folder .. "/gate.wasm", wat(wasi.guest_text("wasi_snapshot_preview1")))
    local result = command.run(command.build .. "/spec/gate", { folder .. "/gate.wasm", folder .. "/d" })
    assert.equal("", result.stderr)
    assert.equal(0, result.status)
    assert.equal(400 * 46, tonumber(result.stdout:match("^(%d+) calls\n")))
    local written = result.stdout:match("written by([^\n]*)") .. " "
    for _, name in ipairs(writers) do assert.matches(" " .. name .. " ", written, 1, true) end
  end)

  it("is the only place where a host function is entered", function()
    local places = {}
    for _, path in ipairs(sources("core/engine")) do
      for call in code_of(path):gmatch("[%w_]+%->callback%(") do places[#places + 1] = path .. ": " .. call end
    end
    assert.same({ "core/engine/invoke.c: function->callback(" }, places)
  end)

  it("is the only way to memory for host code: nobody else casts away that what is read is const", function()
    local casts = {}
    for _, folder in ipairs({ "core/wasi", "core/toolchain", "core/trace", "lua/binding" }) do
      for _, path in ipairs(sources(folder)) do
        for line in code_of(path):gmatch("[^\n]*lun_memory_read[^\n]*") do
          if line:find("%(uint8_t %*%)") or line:find("uintptr_t") then casts[#casts + 1] = path .. ":" .. line end
        end
        for line in code_of(path):gmatch("[^\n]*%(uint8_t %*%)%(uintptr_t%)[^\n]*") do
          casts[#casts + 1] = path
          assert.matches("to_fill ? guest_write", line, 1, true) -- what is to be read goes to writev as it is
        end
      end
    end
    assert.same({ "core/wasi/guest.c" }, casts)
  end)
end)
