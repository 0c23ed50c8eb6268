-- SPDX-License-Identifier: MIT
-- Real programs behave as they did elsewhere, untraced and traced alike, and what the listeners hear is exactly what an
-- instrumented run in another engine counted and listed.
--
-- Left out by cost: `calltree` over every call of cases with more than a million calls
-- (there it is limited to the outer three levels); under sanitizers cases with more than a million calls.

local command = require("spec.support.command")
local corpus = require("spec.support.corpus")
local files = require("spec.support.files")
local programs = require("spec.support.programs")

local many = 1000000

-- Where a record shows the machine that it was made on: what it lists of a folder (there without "." and ".."), so that
-- reading one takes fewer calls, and its clock.
local more_calls = { files1000 = { readdir = 4, memchr = 4, memcpy = 4, realloc = 2 } }
local events_until = { ["files1000 n5"] = "wasi_snapshot_preview1.fd_readdir" }
local clock = { lua = "time" }

local cases = programs.cases()
if not cases then
  it("the corpus' programs", function() pending(corpus.absent) end)
  return
end

-- `lunette` ends with 134 where the guest trapped or ran out of stack.
local function expected_status(case) return case.exit or 134 end

-- Its own messages come after what the guest has written.
local function guest_stderr(case, result)
  if case.exit then return result.stderr end
  return result.stderr:sub(1, #case:text("stderr"))
end

local function same_files(case, dirs)
  if not case.files_after then return end
  for i, now in ipairs(programs.files_now(dirs)) do
    local wanted = case.files_after[i]
    if wanted.files then
      assert.same(wanted.files, now.files)
    else
      assert.equal(wanted.count, #now.files)
      assert.equal(wanted.sha256_of_listing, programs.sum_of_listing(now.files))
    end
  end
end

-- Runs the case with these options and holds it to its record.
local function behaves(case, options)
  local folder <close> = files.temporary()
  local dirs = case:lay_out(folder.path)
  local result = case:run(dirs, options)
  assert.equal(case:text("stdout"), result.stdout)
  if case.match == "exact" then assert.equal(case:text("stderr"), guest_stderr(case, result)) end
  assert.equal(expected_status(case), result.status, result.stderr)
  same_files(case, dirs)
end

-- Runs it with one of the support scripts and gives the lines that the script wrote.
local function listed(case, script)
  local folder <close> = files.temporary()
  local out = folder .. "/out"
  local result = case:run(case:lay_out(folder.path), { "-s", "spec/support/scripts/" .. script .. ".lua", "-o", out })
  assert.equal(expected_status(case), result.status, result.stderr)
  local lines = {}
  for line in files.read(out):gmatch("[^\n]+") do lines[#lines + 1] = line end
  return lines
end

-- The first difference tells more than two long lists.
local function same_lines(wanted, lines)
  for i = 1, math.max(#wanted, #lines) do
    if wanted[i] ~= lines[i] then
      error(("line %d: expected %s, got %s (%d and %d lines)"):format(i, wanted[i], lines[i], #wanted, #lines), 0)
    end
  end
end

local function same_calls(case)
  local record = case:json("calls")
  local unstable, wanted, got, more = {}, {}, {}, {}
  if case.files_after and case.exit == 0 then
    for name, calls in pairs(more_calls[case.program] or {}) do more[case:index_of(name)] = calls end
  end
  for _, entry in ipairs(record.unstable or {}) do unstable[type(entry) == "table" and entry[1] or entry] = true end
  for _, row in ipairs(record.calls) do
    if not unstable[row[1]] then wanted[#wanted + 1] = row[1] .. " " .. row[2] + (more[row[1]] or 0) end
  end
  for _, line in ipairs(listed(case, "count_calls")) do
    if not unstable[tonumber(line:match("^%d+"))] then got[#got + 1] = line end
  end
  same_lines(wanted, got)
end

-- What the clock said stands in both lists as "now".
local function without_time(case, lines)
  if not clock[case.program] then return lines end
  local pattern = ('^%%["return",%d,%%["(0x%%x+)"%%]%%]$'):format(case:index_of(clock[case.program]))
  local now
  for i, line in ipairs(lines) do
    now = now or line:match(pattern)
    if now then lines[i] = line:gsub(now, "now") end
  end
  return lines
end

local function cut(lines, start)
  for i, line in ipairs(lines) do
    if line:sub(1, #start) == start then return table.move(lines, 1, i, 1, {}) end
  end
  return lines
end

local function same_events(case)
  local wanted = {}
  for line in case:text("trace"):gmatch('(%["%a+",[^\n]-)\r?,?\n') do wanted[#wanted + 1] = line end
  local got = without_time(case, listed(case, "list_events"))
  local last = events_until[case.title]
  if last then
    local start = ('["enter",%d,'):format(case:index_of(last))
    wanted, got = cut(wanted, start), cut(got, start)
  end
  same_lines(without_time(case, wanted), got)
end

-- What the record cannot tell apart.
local trap_names = {
  ["invalid conversion to integer"] = { ["integer overflow"] = true },
  ["indirect call type mismatch or null"] = { ["indirect call type mismatch"] = true, ["uninitialized element"] = true },
}

local function same_stack(case)
  local record = case:json("stack")
  local lines = listed(case, "list_stack")
  local kind, code = lines[1]:match("^(%S+) (.*)$")
  if record.kind == "exit" then
    assert.equal("exit " .. case.exit, kind .. " " .. code)
  elseif case.trap == "call stack exhausted" then
    assert.equal("exhausted", kind)
    return -- how deep it went is the engine's own
  else
    assert.equal("trap", kind)
    assert.is_true(code == case.trap or (trap_names[case.trap] or {})[code], code)
  end
  for i, frame in ipairs(record.frames) do
    assert.equal(frame.func .. " " .. frame.file_offset, lines[i + 1], "frame " .. i)
  end
  if case.stack_depth and case.stack_depth <= 300 then assert.equal(case.stack_depth, #lines - 1) end
end

for _, case in ipairs(cases) do
  describe(case.title, function()
    if command.sanitized and (case.calls_total or 0) > many then
      it("is left out", function() pending("too many calls under sanitizers") end)
      return
    end

    it("behaves untraced", function() behaves(case, {}) end)
    it("behaves the same with -s count", function() behaves(case, { "-s", "count", "-o", "/dev/null" }) end)
    it("behaves the same with -s strace", function() behaves(case, { "-s", "strace", "-o", "/dev/null" }) end)
    it("behaves the same with -s calltree", function()
      local script = (case.calls_total or 0) > many and "calltree,depth=3" or "calltree"
      behaves(case, { "-s", script, "-o", "/dev/null" })
    end)
    it("pairs every call's events (R1)", function()
      local report = listed(case, "check_pairing")
      assert.same({ "all is well", "0 0" }, report)
    end)
    if case.calls then
      it("makes the calls that are on record", function() same_calls(case) end)
    end
    if case.trace then
      it("gives the events that are on record, to the bit", function() same_events(case) end)
    end
    if case.stack then
      it("fails with the stack that is on record", function() same_stack(case) end)
    end
  end)
end
