-- SPDX-License-Identifier: MIT
-- What grows with a program: attaching to all functions of a large one (17,490, as many as ruby.wasm has), and stacks as
-- numbers, ten million of them, of a Lua interpreter that calls itself in all ways it can.
--
--     scale.lua [ROW]     rows: attach, stacks; best and median of 9 rounds

local core = require("lunette.core")
local fake_module = require("lunette.fake.module")
local lunette = require("lunette")

local wanted = arg[1] or ""

local function timed(f, ...)
  local start = core.monotonic_ns()
  f(...)
  return (core.monotonic_ns() - start) / 1e6
end

-- ---- attaching ----
local FUNCTIONS, ROUNDS = 17490, 9

local function large()
  local functions = {}
  for i = 1, FUNCTIONS do
    functions[i] = { name = "rb_f" .. i, params = { "i32" }, results = { "i32" }, param_names = {}, index = i - 1 }
  end
  return fake_module.bytes({ name = "large", functions = functions, memory = { min = 1, data = {} } })
end

local ways = {
  { "a Lua listener, by glob", function(session) return session.on("*", function() end) end },
  { "an aggregation", function(session) return session.on("*", session.count({ quiet = true })) end },
  { "the pairing checker", function(session) return session.pairing() end },
  { "a Lua factory, asked for each", function(session)
    local listener = function() end
    return session.factory(function() return listener end)
  end },
}

local function attach_rows()
  local bytes = large()
  local on, off = {}, {}
  for i in ipairs(ways) do on[i], off[i] = {}, {} end
  for round = 1, ROUNDS do
    local session <close> = lunette.session({})
    session.instantiate(session.module(bytes))
    for i, way in ipairs(ways) do
      local attachment
      on[i][round] = timed(function() attachment = way[2](session) end)
      off[i][round] = timed(function() attachment:detach() end)
    end
  end
  for i, way in ipairs(ways) do
    table.sort(on[i])
    table.sort(off[i])
    print(("attach to all %d functions, %-30s %6.2f ms, median %6.2f; detach %.2f"):format(FUNCTIONS, way[1], on[i][1],
      on[i][ROUNDS // 2 + 1], off[i][ROUNDS // 2 + 1]))
  end
end

-- ---- stacks ----
local STACKS = 10000000

-- Each level is reached in two ways, and each way is another stack.
local deep = [[
local function walk(n)
  if n == 0 then return end
  pcall(walk, n - 1)
  string.gsub("x", "x", function() walk(n - 1) end)
end
walk(30)]]

local function peak_mib()
  for line in io.lines("/proc/self/status") do
    local kib = line:match("^VmHWM:%s+(%d+)")
    if kib then return tonumber(kib) / 1024 end
  end
end

local function stack_rows(wasm)
  local before = peak_mib()
  local session <close> = lunette.session({})
  local calls, most, frames = 0, 0, 0
  session.on("*", function(call)
    calls = calls + 1
    local id = call:stack_id()
    if id > most then most = id end
    if id >= STACKS then session.stop(0) end
  end)
  local guest = session.instantiate(session.module({ file = wasm }), { wasi = { args = { "lua", "-e", deep } } })
  local ms = timed(function() pcall(guest.invoke, guest, "_start") end)
  for i = 1, 1000 do frames = frames + #session.stack_of(most * i // 1000) end
  print(("%d stacks, %.1f frames deep: %.0f MiB of memory; %.1f ns a call, %d calls"):format(most, frames / 1000,
    peak_mib() - before, ms * 1e6 / calls, calls))
end

if ("attach"):find(wanted, 1, true) then attach_rows() end
if ("stacks"):find(wanted, 1, true) then
  local corpus = require("spec.support.corpus").folder("programs")
  if corpus then stack_rows(corpus .. "/lua/lua.wasm") else print("stacks: the corpus is not here") end
end
