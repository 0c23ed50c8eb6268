-- SPDX-License-Identifier: MIT
-- What is counted by stack, in the formats of other tools. What it should be is known from the guest's own text, or from a
-- listener that walks the same stacks.

local command = require("spec.support.command")
local files = require("spec.support.files")
local guest = require("spec.support.guest")

after_each(guest.close_all)

local text = [[(module
  (func $leaf (export "leaf") (param $n i32))
  (func $a (call $leaf (i32.const 3)) (call $leaf (i32.const 4)))
  (func $b (call $leaf (i32.const 5)))
  (func $nest (param i32)
    (if (local.get 0) (then (call $nest (i32.sub (local.get 0) (i32.const 1)))) (else (call $leaf (i32.const 1)))))
  (func (export "run") (call $a) (call $b) (call $a))
  (func (export "deep") (param i32) (call $nest (local.get 0))))]]

local function open() return guest.open(text, { session = { output = "/dev/null" } }) end

local function lines_of(listing)
  local lines = {}
  for line in listing:gmatch("[^\n]+") do lines[#lines + 1] = line end
  table.sort(lines)
  return lines
end

describe("stacks", function()
  it("counts calls by stack, a stack for each place of a call", function()
    local app = open()
    local stacks = app.lunette.stacks()
    app.lunette.on("leaf", stacks)
    app.instance:invoke("run")
    assert.equal(5, stacks.rows) -- the two calls of $a are at two places in "run", and each of them has two
    assert.same({ "run;a;leaf 4", "run;b;leaf 1" }, lines_of(stacks:text({ format = "folded" })))
  end)

  it("has keys that lunette.stack_of knows", function()
    local app = open()
    local stacks = app.lunette.stacks()
    app.lunette.on("leaf", stacks)
    app.instance:invoke("run")
    for _, row in ipairs(stacks:table()) do
      local stack = app.lunette.stack_of(row.key)
      assert.equal("leaf", stack[1].definition.name)
      assert.equal(3, #stack)
    end
  end)

  it("sums a value, and may have further keys in front", function()
    local app = open()
    local lunette = app.lunette
    local stacks = lunette.stacks{ value = lunette.arg("n"), by = { "module", "stack" }, when = lunette.arg("n"):gt(3) }
    lunette.on("leaf", stacks)
    app.instance:invoke("run")
    assert.same({ "app;run;a;leaf 8", "app;run;b;leaf 5" }, lines_of(stacks:text({ format = "folded" })))
    assert.same({ "4,1,app,run;a;leaf", "5,1,app,run;b;leaf" }, (function()
      local rows = {}
      for _, row in ipairs(stacks:table()) do rows[row.sum] = true end
      assert.same({ [4] = true, [5] = true }, rows)
      local list = {}
      for line in stacks:text({ format = "csv" }):gmatch("([^\r\n]+)\r\n") do
        local module, names, sum, calls = line:match("^(%w+),([%w;]+),(%d+),(%d+)$")
        if module then list[("%s,%s,%s,%s"):format(sum, calls, module, names)] = true end
      end
      local sorted = {}
      for line in pairs(list) do sorted[#sorted + 1] = line end
      table.sort(sorted)
      return sorted
    end)())
  end)

  it("shows the innermost functions of a stack in a table", function()
    local app = open()
    local stacks = app.lunette.count{ by = "stack" }
    app.lunette.on("leaf", stacks)
    app.instance:invoke("deep", 20)
    assert.equal("calls  stack\n    1  leaf" .. (" < nest"):rep(7) .. " < ... 15 more\n", stacks:text())
  end)

  it("is as a listener sees the stacks", function()
    local app = open()
    local seen = {}
    local stacks = app.lunette.stacks()
    app.lunette.on("*", stacks)
    app.lunette.on("*", function(call)
      local names = {}
      for _, frame in ipairs(call:stack()) do table.insert(names, 1, frame.definition.name) end
      local line = table.concat(names, ";")
      seen[line] = (seen[line] or 0) + 1
    end)
    app.instance:invoke("run")
    app.instance:invoke("deep", 5)
    local expected = {}
    for line, count in pairs(seen) do expected[#expected + 1] = line .. " " .. count end
    table.sort(expected)
    assert.same(expected, lines_of(stacks:text({ format = "folded" })))
  end)

  it("pays for stacks from its budget, and says once that it is used up", function()
    local app = open()
    local stacks = app.lunette.stacks{ budget = "16K", name = "deep ones" }
    app.lunette.on("nest", stacks)
    app.instance:invoke("deep", 1000)
    app.instance:invoke("deep", 1000)
    local heard = 0
    for _, row in ipairs(stacks:table()) do heard = heard + row.calls end
    assert.is_true(stacks.rows > 10 and stacks.rows < 1000 and stacks.bytes <= stacks.budget)
    assert.equal(2 * 1001, heard + stacks.left_out)
    assert.equal(1, #app.messages)
    assert.matches("^deep ones: its budget of 16384 bytes is used up", app.messages[1])
  end)

  it("of two sessions are not merged: their numbers are not the same", function()
    local app, other = open(), open()
    local mine, theirs = app.lunette.stacks(), other.lunette.stacks()
    app.lunette.on("leaf", mine)
    other.lunette.on("leaf", theirs)
    assert.matches("merge: what two stores have counted by stack", guest.failure(mine.merge, mine, theirs))
    local more = app.lunette.stacks()
    app.lunette.on("leaf", more)
    app.instance:invoke("run")
    assert.same({ "run;a;leaf 8", "run;b;leaf 2" }, lines_of(mine:merge(more):text({ format = "folded" })))
  end)

  it("cannot be what is summed or compared", function()
    local app = open()
    local refused = guest.failure(app.lunette.count().print, app.lunette.count(), { format = "folded" })
    assert.matches('print: folded is for stacks: lunette.stacks{…}, or a count or sum by="stack"', refused, 1, true)
    refused = guest.failure(app.lunette.count().print, app.lunette.count(), { format = "floded" })
    assert.matches("did you mean 'folded'?", refused, 1, true)
  end)

  it("of host functions that call the guest again is one", function()
    local app = guest.open([[(module (import "env" "again" (func $again))
      (func $inner (export "inner")) (func (export "outer") (call $again)))]], {
      session = { output = "/dev/null" },
      imports = function(lunette)
        return { lunette.host("env", { again = { function(call) call.instance:invoke("inner") end } }) }
      end,
    })
    local stacks = app.lunette.stacks()
    app.lunette.on("inner", stacks)
    app.instance:invoke("outer")
    assert.equal("outer;again;inner 1\n", stacks:text({ format = "folded" }))
  end)
end)

describe("names in folded lines", function()
  it("hold no semicolon and no line break", function()
    local app = guest.open([[(module (func (export "a;b\0ac d")))]], { session = { output = "/dev/null" } })
    local stacks = app.lunette.stacks()
    app.lunette.on("*", stacks)
    app.instance:invoke("a;b\nc d")
    assert.equal("a:b\\x0ac d 1\n", stacks:text({ format = "folded" }))
  end)
end)

describe("speedscope's format", function()
  it("has a frame for each function, and a sample for each stack", function()
    local app = open()
    local stacks = app.lunette.stacks{ value = app.lunette.arg("n"), name = "sizes" }
    app.lunette.on("leaf", stacks)
    app.instance:invoke("run")
    local all = require("dkjson").decode(stacks:text({ format = "speedscope" }))
    assert.equal("https://www.speedscope.app/file-format-schema.json", all["$schema"])
    local profile, weights, sum = all.profiles[1], {}, 0
    for i, sample in ipairs(profile.samples) do
      local names = {}
      for depth, index in ipairs(sample) do names[depth] = all.shared.frames[index + 1].name end
      local line = table.concat(names, ";")
      weights[line] = (weights[line] or 0) + profile.weights[i]
      sum = sum + profile.weights[i]
    end
    assert.same({ ["run;a;leaf"] = 14, ["run;b;leaf"] = 5 }, weights)
    assert.same({ "sampled", "sizes", "none", 0, sum, 4 },
      { profile.type, profile.name, profile.unit, profile.startValue, profile.endValue, #all.shared.frames })
  end)

  it("gives times in ns", function()
    local app = open()
    local stacks = app.lunette.stacks{ value = app.lunette.self_time }
    app.lunette.on("*", stacks)
    app.instance:invoke("run")
    local all = require("dkjson").decode(stacks:text({ format = "speedscope" }))
    assert.equal("nanoseconds", all.profiles[1].unit)
  end)
end)

-- As far as it is written here, by the numbers of profile.proto.
local proto = [[
syntax = "proto3";
message ValueType { int64 type = 1; int64 unit = 2; }
message Label { int64 key = 1; int64 str = 2; }
message Sample { repeated uint64 location_id = 1; repeated int64 value = 2; repeated Label label = 3; }
message Mapping { uint64 id = 1; int64 filename = 5; bool has_functions = 7; bool has_filenames = 8;
  bool has_line_numbers = 9; bool has_inline_frames = 10; }
message Line { uint64 function_id = 1; int64 line = 2; int64 column = 3; }
message Location { uint64 id = 1; uint64 mapping_id = 2; uint64 address = 3; repeated Line line = 4; }
message Function { uint64 id = 1; int64 name = 2; int64 system_name = 3; int64 filename = 4; int64 start_line = 5; }
message Profile { repeated ValueType sample_type = 1; repeated Sample sample = 2; repeated Mapping mapping = 3;
  repeated Location location = 4; repeated Function function = 5; repeated string string_table = 6;
  int64 default_sample_type = 14; }
]]

-- What protoc prints of a message → { field = { values or messages }, … }.
local function read_messages(lines, at)
  local message = {}
  while lines[at] and not lines[at]:find("^%s*}") do
    local name, open_brace = lines[at]:match("^%s*([%w_]+) ({)$")
    local value
    if open_brace then
      value, at = read_messages(lines, at + 1)
    else
      name, value = lines[at]:match("^%s*([%w_]+): (.*)$")
      value = value:match('^"(.*)"$') or tonumber(value) or value
    end
    message[name] = message[name] or {}
    table.insert(message[name], value)
    at = at + 1
  end
  return message, at
end

local function decode(bytes)
  local folder <close> = files.temporary()
  files.write(folder .. "/profile.proto", proto)
  files.write(folder .. "/profile.gz", bytes)
  local line = "gzip -dc profile.gz | protoc --decode=Profile profile.proto"
  local result = command.run("sh", { "-c", line }, { cwd = folder.path })
  assert.same({ 0, "" }, { result.status, result.stderr })
  assert.is_nil(result.stdout:find("\n%s*%d+: ")) -- a field that is none
  local lines = {}
  for entry in result.stdout:gmatch("[^\n]+") do lines[#lines + 1] = entry end
  return (read_messages(lines, 1))
end

-- The lines of folded stacks that a decoded profile stands for, by its n-th value.
local function folded_of(profile, n)
  local function string_at(index) return profile.string_table[(index or 0) + 1] end
  local functions, locations, sums = {}, {}, {}
  for _, one in ipairs(profile["function"]) do functions[one.id[1]] = string_at(one.name[1]) end
  for _, one in ipairs(profile.location) do
    local names = {}
    for i, line in ipairs(one.line) do names[#one.line + 1 - i] = functions[line.function_id[1]] end
    locations[one.id[1]] = table.concat(names, ";")
  end
  for _, sample in ipairs(profile.sample) do
    local names = {}
    for i, id in ipairs(sample.location_id) do names[#sample.location_id + 1 - i] = locations[id] end
    local line = table.concat(names, ";")
    sums[line] = (sums[line] or 0) + sample.value[n]
  end
  local list = {}
  for line, sum in pairs(sums) do list[#list + 1] = ("%s %d"):format(line, sum) end
  table.sort(list)
  return list
end

describe("pprof's format", function()
  if command.run("protoc", { "--version" }).status ~= 0 then
    it("is decoded", function() pending("protoc (protobuf-compiler) is not here") end)
    return
  end

  it("holds the same stacks, calls and sums", function()
    local app = open()
    local stacks = app.lunette.stacks{ value = app.lunette.arg("n"), by = { "module" } }
    app.lunette.on("leaf", stacks)
    app.instance:invoke("run")
    local profile = decode(stacks:text({ format = "pprof" }))
    assert.same({ "run;a;leaf 4", "run;b;leaf 1" }, folded_of(profile, 1))
    assert.same({ "run;a;leaf 14", "run;b;leaf 5" }, folded_of(profile, 2))
    local function text_of(index) return profile.string_table[index + 1] end
    local kinds = {}
    for i, kind in ipairs(profile.sample_type) do kinds[i] = text_of(kind.type[1]) .. "/" .. text_of(kind.unit[1]) end
    assert.same({ "calls/count", "n/count" }, kinds)
    assert.equal("", profile.string_table[1])
    assert.equal("app", text_of(profile.mapping[1].filename[1]))
    local label = profile.sample[1].label[1]
    assert.same({ "module", "app" }, { text_of(label.key[1]), text_of(label.str[1]) })
    for _, one in ipairs(profile.location) do assert.equal(1, one.mapping_id[1]) end
  end)

  it("of large numbers is exact", function()
    local app = guest.open([[(module (func (export "f") (param i64)))]], { session = { output = "/dev/null" } })
    local stacks = app.lunette.stacks{ value = app.lunette.arg(1) }
    app.lunette.on("f", stacks)
    app.instance:invoke("f", math.maxinteger - 1)
    app.instance:invoke("f", 1)
    assert.equal(math.maxinteger, decode(stacks:text({ format = "pprof" })).sample[1].value[2])
    stacks:reset()
    app.instance:invoke("f", -300)
    assert.equal(-300, decode(stacks:text({ format = "pprof" })).sample[1].value[2])
  end)

  local sort = command.build .. "/examples/sort.wasm"
  it("has files, lines and inlined functions by debug information, as folded lines do", function()
    if not files.exists(sort) then
      return pending("clang for wasm32-wasi was not here when the examples were built")
    end
    local folder <close> = files.temporary()
    local script = [[
      local stacks = lunette.stacks{ quiet = true }
      lunette.on("*", stacks)
      lunette.at_exit(function() stacks:print{ format = "%s" } end)]]
    local printed = {}
    for _, format in ipairs({ "folded", "pprof" }) do
      local args = { "run", "-o", folder .. "/out", "-e", script:format(format), sort, "2", "1" }
      local result = command.run(command.lunette, args)
      assert.equal(0, result.status)
      printed[format] = files.read(folder .. "/out")
    end
    local profile = decode(printed.pprof)
    assert.is_truthy(printed.folded:find("_[i];", 1, true))
    assert.same(lines_of((printed.folded:gsub("_%[i%]", ""))), folded_of(profile, 1))
    local named = {}
    for _, one in ipairs(profile["function"]) do
      local file = profile.string_table[(one.filename or { 0 })[1] + 1]
      named[profile.string_table[one.name[1] + 1]] = { file, (one.start_line or {})[1] }
    end
    local declared
    local number = 0
    for line in files.read("examples/sort.c"):gmatch("([^\n]*)\n") do
      number = number + 1
      if line:find("^int main%(") then declared = number end
    end
    assert.matches("examples/sort.c$", named.main[1])
    assert.equal(declared, named.main[2])
  end)
end)
