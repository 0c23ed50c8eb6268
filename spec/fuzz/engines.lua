-- SPDX-License-Identifier: MIT
-- Compares lunette, untraced and with listeners, with wabt's wasm-interp and with V8 (where node is there), on generated
-- modules: results, traps, and final memory and globals have to be alike.
--   lua5.4 spec/fuzz/engines.lua SECONDS SEEDS FOUND     SEEDS: a file of numbers to begin with; FOUND: a folder
--   lua5.4 spec/fuzz/engines.lua NUMBER                  one module again, with what each engine says
-- A module on which they disagree stays in FOUND. Ends with status 1 then.

local generate = require("spec.fuzz.generate")
local lunette = require("lunette")

local BATCH = 24

-- ---- traps, one word each ----
local words = {
  { "divide by zero", "zero" }, { "remainder by zero", "zero" }, { "unreachable", "unreachable" },
  { "float unrepresentable", "conversion" }, { "integer overflow", "conversion" }, { "invalid conversion", "conversion" },
  { "divide result unrepresentable", "conversion" }, { "memory", "memory" }, { "undefined", "element" },
  { "uninitialized", "element" }, { "table index", "element" }, { "null function", "element" }, { "indirect call", "element" },
  { "signature mismatch", "element" }, { "stack", "exhausted" },
}

local function word_of(text)
  for _, row in ipairs(words) do
    if text:find(row[1], 1, true) then return "trap " .. row[2] end
  end
  return "trap " .. text
end

-- Decimal text, signed or not, as 64 bits.
local function bits_of(text)
  local n = 0
  for digit in text:gmatch("%d") do n = n * 10 + tonumber(digit) end
  return text:sub(1, 1) == "-" and -n or n
end

local function ok(number) return ("ok %016x"):format(number) end

-- ---- the engines: from bytes or a file to a list of "EXPORT OUTCOME" ----
local function silent() end
local listener = { before = silent, after = silent, abort = silent }

local function in_lunette(bytes, traced)
  local session <close> = lunette.session({})
  if traced then session.on("*", listener) end
  local list = {}
  local module = session.module(bytes)
  local instance = session.instantiate(module)
  for _, export in ipairs(module.exports) do
    local good, result = pcall(instance.invoke, instance, export.name)
    list[#list + 1] = export.name .. " " .. (good and ok(result) or word_of(result.code or tostring(result)))
  end
  return list
end

local function lines_of(command)
  local pipe = assert(io.popen(command .. " 2>&1"))
  local list = {}
  for line in pipe:lines() do list[#list + 1] = line end
  pipe:close()
  return list
end

local function in_interp(file)
  local list = {}
  for _, line in ipairs(lines_of("wasm-interp --run-all-exports " .. file)) do
    local name, outcome = line:match("^([%w_]+)%(%) => (.*)$")
    local number = outcome and outcome:match("^i64:(%d+)$")
    list[#list + 1] = name and name .. " " .. (number and ok(bits_of(number)) or word_of(outcome)) or line
  end
  return list
end

local has_node = os.execute("node --version >/dev/null 2>&1")

-- By file.
local function in_node(files)
  local by_file = {}
  for _, file in ipairs(files) do by_file[file] = {} end
  for _, line in ipairs(lines_of("node --no-warnings spec/fuzz/engines.mjs " .. table.concat(files, " "))) do
    local file, name, kind, text = line:match("^(%S+) (%S+) (%a+) (.*)$")
    if not by_file[file] then return nil, line end
    table.insert(by_file[file], name .. " " .. (kind == "ok" and ok(bits_of(text)) or word_of(text)))
  end
  return by_file
end

-- ---- one module ----
local function write(path, bytes)
  local file = assert(io.open(path, "wb"))
  file:write(bytes)
  file:close()
end

local function same(a, b) return table.concat(a, "\n") == table.concat(b, "\n") end

-- Nil where all agree, else who does not.
local function disagreement(bytes, file, judged)
  local plain = in_lunette(bytes, false)
  if not same(plain, in_lunette(bytes, true)) then return "traced" end
  if not same(plain, in_interp(file)) then return "wasm-interp" end
  if judged and not same(plain, judged) then return "V8" end
end

local function show(seed)
  local bytes, file = generate.module(seed), os.tmpname()
  write(file, bytes)
  local outcomes = { lunette = in_lunette(bytes, false), traced = in_lunette(bytes, true), ["wasm-interp"] = in_interp(file),
    V8 = has_node and in_node({ file })[file] or nil }
  for _, who in ipairs({ "lunette", "traced", "wasm-interp", "V8" }) do
    print(who .. ":\n  " .. table.concat(outcomes[who] or { "left out: no node" }, "\n  "))
  end
  os.remove(file)
end

-- ---- many ----
local function batch(seeds, found, report)
  local files, modules = {}, {}
  for i, seed in ipairs(seeds) do
    files[i], modules[i] = ("%s/%d.wasm"):format(found, seed), generate.module(seed)
    write(files[i], modules[i])
  end
  local judged, problem = {}, nil
  if has_node then judged, problem = in_node(files) end
  if not judged then
    report(("V8 said: %s"):format(problem))
    judged = {}
  end
  for i, seed in ipairs(seeds) do
    local who = disagreement(modules[i], files[i], judged[files[i]])
    if who then report(("%s disagrees on %s; lua5.4 spec/fuzz/engines.lua %d shows how"):format(who, files[i], seed))
    else os.remove(files[i]) end
  end
end

local function compare(seconds, kept, found)
  local ends, count, problems = os.time() + seconds, 0, 0
  local function report(text)
    problems = problems + 1
    print(text)
  end
  local pending, next_seed = {}, math.random(1 << 40)
  for line in io.lines(kept) do pending[#pending + 1] = tonumber(line) end
  repeat
    local seeds = {}
    for i = 1, BATCH do
      seeds[i] = table.remove(pending) or next_seed
      next_seed = next_seed + 1
    end
    batch(seeds, found, report)
    count = count + #seeds
  until os.time() >= ends or problems >= 10
  print(("%d modules, %d disagreements%s"):format(count, problems, has_node and "" or " (V8 left out: no node)"))
  return problems == 0
end

if #arg == 1 then
  show(tonumber(arg[1]))
else
  os.exit(compare(tonumber(arg[1]), arg[2], arg[3]), true)
end
