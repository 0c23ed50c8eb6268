-- SPDX-License-Identifier: MIT
-- The engine's figures beside those of V8's best tier in the same run: what each row names as its aim is printed with it.
--   lua5.4 spec/bench/engine.lua BUILD [ROW]         from the root of the sources
-- Rows whose guests or judges are not here are left out, and said to be. Each figure is the best of rounds that alternate
-- between the two sides, for the machine may be busy.

local build, wanted = arg[1], arg[2] or ""
local engine, unpolled, spawn = build .. "/bench/engine_bench", build .. "/bench/engine_unpolled", build .. "/bench/spawn"
local lunette, command_unpolled = build .. "/bin/lunette", build .. "/bench/command_unpolled"
local rounds = 3
-- V8's best tier at once, so that nothing is compiled while the clock runs.
local node = "node --no-warnings --no-liftoff --no-wasm-dynamic-tiering --no-wasm-lazy-compilation spec/bench/judge.mjs"

local function exists(path)
  local file = path and io.open(path)
  return file and file:close()
end

local function run(command)
  local pipe = assert(io.popen(command .. " 2>&1"))
  local said = pipe:read("a")
  return pipe:close() and said or nil, said
end

local has_node = run("node --version") ~= nil

local function quoted(text) return "'" .. text:gsub("'", "'\\''") .. "'" end

-- Runs the commands in turn, and gives for each the smallest number behind the word.
local function best(word, commands, times)
  local list = {}
  for _ = 1, times or rounds do
    for i, command in ipairs(commands) do
      local said, problem = run(command)
      local number = said and tonumber(said:match(word .. " ([%d.]+)"))
      if not number then error(command .. ": " .. problem, 0) end
      list[i] = math.min(list[i] or math.huge, number)
    end
  end
  return table.unpack(list)
end

-- The folder of the bench guests, unpacked where they come in an archive.
local function guests()
  for _, root in ipairs({ os.getenv("LUNETTE_CORPUS") or "", "../shared/corpus" }) do
    if root ~= "" and exists(root .. "/bench/fib.wasm") then return root .. "/bench" end
    local archive = root ~= "" and root .. "/bench.tar.xz"
    if archive and exists(archive) then
      os.execute(("mkdir -p %s/bench/guests && tar -xJf %s -C %s/bench/guests"):format(build, quoted(archive), build))
      for _, folder in ipairs({ "/bench/guests/bench", "/bench/guests" }) do
        if exists(build .. folder .. "/fib.wasm") then return build .. folder end
      end
    end
  end
end

local function row(title, text) print(("%-34s %s"):format(title, text)) end
local function left_out(title, why) row(title, "left out: " .. why) end

local rows = {}

function rows.call()
  local file = build .. "/bench/fib.wasm"
  local ours = best("call", { engine .. " call " .. file })
  if not has_node then
    row("an interpreted call", ("%.2f ns (aim: 5)"):format(ours))
    return left_out("the same in V8", "no node")
  end
  local own, judge = best("call", { engine .. " call " .. file, node .. " call " .. file })
  ours = math.min(ours, own)
  row("an interpreted call", ("%.2f ns (aim: 5), V8 %.2f, ratio %.2f"):format(ours, judge, ours / judge))
end

function rows.guests()
  local folder = guests()
  if not folder then return left_out("five guests", "their modules are not here (LUNETTE_CORPUS or ../shared/corpus)") end
  if not has_node then return left_out("five guests", "no node to compare with") end
  local product, count = 1, 0
  for _, name in ipairs({ "fib", "sieve", "sortcb", "ast", "ray" }) do
    local file = quoted(folder .. "/" .. name .. ".wasm")
    local ours, judge = best("best_ms", { lunette .. " run " .. file .. " 3", node .. " run " .. file .. " 5" })
    product, count = product * ours / judge, count + 1
    row(name, ("%.1f ms, V8 %.1f, ratio %.2f"):format(ours, judge, ours / judge))
  end
  row("their geometric mean", ("%.2f (aim: 6)"):format(product ^ (1 / count)))
end

-- A large module of others': fetched once, never part of the sources.
local function ruby()
  local folder = build .. "/bench/ruby"
  local file = folder .. "/package/dist/ruby.wasm"
  if not exists(file) then
    run(("mkdir -p %s && cd %s && npm pack @ruby/3.3-wasm-wasi && tar -xzf *.tgz package/dist/ruby.wasm && rm -f *.tgz"):format(
      folder, folder))
  end
  return exists(file) and file
end

local function megabytes(file)
  local handle = assert(io.open(file, "rb"))
  local size = handle:seek("end") / 1e6
  handle:close()
  return size
end

function rows.validate()
  local file = ruby()
  if not file then return left_out("validating", "npm's @ruby/3.3-wasm-wasi can't be had") end
  local speed = 0
  for _ = 1, rounds do speed = math.max(speed, tonumber(run(engine .. " validate " .. file):match("validate ([%d.]+)"))) end
  row("validating", ("%.0f MB/s (aim: 250)"):format(speed))
end

function rows.load()
  local file = ruby()
  if not file then return left_out("a large module", "npm's @ruby/3.3-wasm-wasi can't be had") end
  local size = megabytes(file)
  local ms = best("load", { engine .. " load " .. file })
  local resident = best("rss", { engine .. " load " .. file })
  local text = "%.1f ms (aim: 80), %.1f MB resident, %.2f of its size (aim: 3)"
  row(("%.1f MB to the first instruction"):format(size), text:format(ms, resident, resident / size))
  if not has_node then return end
  local lazy = "node --no-warnings spec/bench/judge.mjs load " .. file
  row("  V8, compiling lazily", ("%.1f ms, %.1f MB resident"):format(best("load", { lazy }), (best("rss", { lazy }))))
end

function rows.start()
  local hello, script = build .. "/bench/hello.wasm", build .. "/bench/hello.lua"
  local out = assert(io.open(script, "w"))
  out:write("lunette.on('main', { before = function() end, after = function() end })\n")
  out:close()
  local said = run(("%s 60 /bin/true -- %s run %s -- %s run -q -s %s %s"):format(spawn, lunette, hello, lunette, script, hello))
  if not said then return left_out("start to exit", "the programs failed") end
  local times = {}
  for least, median, own in said:gmatch("([%d.]+) ([%d.]+) ([%d.]+) [%d.]+\n") do
    times[#times + 1] = { least, median, own }
  end
  -- The aims are 2 and 5 ms on a machine where /bin/true takes 1 ms: a start is mostly the system's work.
  for i, title in ipairs({ "/bin/true, start to exit", "hello (aim: 2 of /bin/true)", "hello with a script (aim: 5)" }) do
    row(title, ("best %.2f ms, median %.2f, %.2f of /bin/true; processor %.2f ms"):format(times[i][1], times[i][2],
      times[i][1] / times[1][1], times[i][3]))
  end
end

function rows.safepoint()
  local file = build .. "/bench/loop.wasm"
  local with, without = best("loop", { engine .. " loop " .. file, unpolled .. " loop " .. file }, 3 * rounds)
  row("safepoints, in the shortest loop", ("%+.1f %% (aim: below 2)"):format((with / without - 1) * 100))
  local folder = guests()
  if not folder then return end
  local sieve = quoted(folder .. "/sieve.wasm")
  with, without = best("best_ms", { lunette .. " run " .. sieve .. " 3", command_unpolled .. " run " .. sieve .. " 3" },
    3 * rounds)
  row("safepoints, in sieve", ("%+.1f %%"):format((with / without - 1) * 100))
end

function rows.detach()
  local call, again = math.huge, math.huge
  for _ = 1, rounds do
    local said = run(engine .. " call " .. build .. "/bench/fib.wasm")
    call, again = math.min(call, tonumber(said:match("call ([%d.]+)"))), math.min(again, tonumber(said:match("again ([%d.]+)")))
  end
  row("attached and detached again", ("%+.1f %% a call"):format((again / call - 1) * 100))
end

for _, name in ipairs({ "call", "guests", "validate", "load", "start", "safepoint", "detach" }) do
  if name:find(wanted, 1, true) then rows[name]() end
end
