-- SPDX-License-Identifier: MIT
-- lunette.stack and bench: frames that say more than a name, and what is wrong with those that make no sense. (What a listener
-- gets of them is in spec/trace/rules_hosts_spec.lua.)

local lunette = require("lunette")

local function failure(f, ...)
  local good, problem = pcall(f, ...)
  assert(not good, "an error was expected")
  return problem
end

describe("R22 lunette.stack", function()
  it("prints params, module, offset, lines and what was inlined", function()
    local stack = lunette.stack({
      { name = "fd_read", module = "wasi_snapshot_preview1", is_host = true },
      { definition = { name = "parse\n", module = "json", params = { "i32", "v128", "externref" }, param_names = { "at" } },
        params = { 70976, "\1\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0" }, offset = 0x1f3, file_offset = 0x240, file = "json.c", line = 40,
        column = 5, inlined = { { name = "refill", file = "json.c", line = 12, column = 9 }, { file = "in.c" } } },
      { name = "main", params = { 1 }, exact = false, file = "main.c", line = 7 },
    })
    assert.equal("#0  fd_read (host)\n    refill (inlined) json.c:12:9\n    ? (inlined) in.c\n"
      .. "#1  parse\\x0a(at=70976, 0x00000000000000020000000000000001, null) (json) 0x240 json.c:40:5\n"
      .. "#2  main(now 1) main.c:7", tostring(stack))
    assert.same({ "json.c", 40, 5, "refill" }, { stack[2].file, stack[2].line, stack[2].column, stack[2].inlined[1].name })
    assert.same({}, stack[1].inlined)
    assert.same({ true, false }, { stack[2]:is_exact("at"), stack[3]:is_exact(1) })
    assert.same({ n = 3, 70976, stack[2].values[2] }, table.pack(stack[2]:params()))
  end)

  it("prints as a guest's stack of the same frames does", function()
    local fake <close> = lunette.fake({
      module = "app", frames = { { "outer", 5, 1.5 }, "main" },
      functions = {
        { name = "outer", params = { "i32", "f64" }, param_names = { "n" } },
        { name = "leaf", params = { "v128", "i64", "externref" }, param_names = { "wide" } },
        { name = "write", host = "env", params = { "i32" } },
      },
    })
    local texts = {}
    fake.lunette.on("*", function(call)
      local frames = {}
      for i, frame in ipairs(call:stack()) do
        frames[i] = { definition = frame.definition, instance = frame.instance, offset = frame.offset, exact = frame.exact,
          file_offset = frame.file_offset, is_host = frame.is_host, params = { frame:params() }, locals = frame:locals() }
      end
      texts[#texts + 1] = { tostring(call:stack()), tostring(lunette.stack(frames)) }
    end)
    assert.is_nil(fake:call({ "leaf", ("ab"):rep(8), -3, calls = { { "write", 9 } } }))
    assert.equal(4, #texts)
    for _, pair in ipairs(texts) do assert.equal(pair[1], pair[2]) end
    assert.is_truthy(texts[4][1]:find("leaf(wide=0x", 1, true), texts[4][1])
  end)

  it("has locals, counted on from the params", function()
    local printed = {}
    lunette.bench(1, { { name = "f", params = { 1, 2 }, locals = {
      { name = "sum", type = "i32", value = 7 }, { type = "f64", value = 0.5 }, { index = 9, type = "externref" },
    } } }, function(call)
      for _, own in ipairs(call:stack()[1]:locals()) do
        printed[#printed + 1] = ("%d %s %s %s"):format(own.index, own.name, own.type, own.value)
      end
    end)
    assert.same({ "2 sum i32 7", "3 nil f64 0.5", "9 nil externref nil" }, printed)
    assert.same({}, lunette.stack({ { name = "f" } })[1]:locals())
  end)

  for text, wrong in pairs({
    ["frame 1: definition must be an object or a table, not 5"] = { definition = 5 },
    ["frame 1: definition must be a definition or a table, not aggregation count"]
      = { definition = lunette.count({ quiet = true }) },
    ["frame 1: definition has no name"] = { definition = {} },
    ["frame 1: definition: params: 1 must be a string, not a number"] = { definition = { name = "a", params = { 5 } } },
    ["frame 1 has no name"] = {},
    ["frame 1: name must be a string, not 5"] = { name = 5 },
    ["frame 1: offset must be an integer, not a string"] = { name = "a", offset = "q" },
    ["frame 1: line must be an integer, not 1.5"] = { name = "a", line = 1.5 },
    ["frame 1: params must be a table, not 5"] = { name = "a", params = 5 },
    ["frame 1: inlined: 1 must be a table, not a string"] = { name = "a", inlined = { "b" } },
    ["frame 1: locals: 1: name must be a string, not 5"] = { name = "a", locals = { { name = 5 } } },
    ["frame 1: no such field: ofset; did you mean 'offset'?"] = { name = "a", ofset = 5 },
    ["frame 1 is a number, not a table"] = 5,
  }) do
    it("refuses what makes no sense: " .. text, function()
      local problem = failure(function() lunette.stack({ wrong }) end)
      assert.equal("stack: " .. text, problem:match("^[^\n]*testkit_spec%.lua:%d+: (.*)$"), problem)
    end)
  end

  it("tells fields and params that there are not, where they are asked for", function()
    local frame = lunette.stack({ { definition = { name = "f", params = { "i32" }, param_names = { "size" } } } })[1]
    for text, ask in pairs({
      ["frame.lime: no such field; did you mean 'line'?"] = function() return (frame.lime) end,
      ["f has no param 'sise'; did you mean 'size'?"] = function() frame:is_exact("sise") end,
      ["f has 1 params, there is no number 2"] = function() frame:is_exact(2) end,
    }) do
      assert.equal(text, failure(ask):match("^[^\n]*testkit_spec%.lua:%d+: (.*)$"))
    end
  end)
end)

describe("R22 lunette.bench", function()
  it("takes a listener with abort, which its calls, all of them well, never reach", function()
    local list = {}
    local function note(kind) return function() list[#list + 1] = kind end end
    assert.is_true(lunette.bench(1, { { name = "f" } }, { abort = note("abort") }) >= 0)
    lunette.bench(2, { { name = "f" } }, { after = note("after"), abort = note("abort") })
    assert.same({ "after", "after" }, list)
  end)

  it("takes an aggregation, which hears real calls of the same frames", function()
    local frames = {
      { name = "parse", params = { 7, 2.5, "0123456789abcdef", 1 << 40 }, results = { 9 } },
      { name = "loop" }, { definition = { name = "main", params = { "i32" } }, params = { 3 } },
    }
    local function row_of(aggregation, list, count)
      assert.is_true(lunette.bench(count or 2500, list or frames, aggregation) >= 0)
      local rows = aggregation:table()
      assert.equal(1, #rows)
      return rows[1]
    end
    local row = row_of(lunette.count({ by = { "name", "caller", "module" }, quiet = true }))
    assert.same({ 2500, { "parse", "loop", "fake" } }, { row.calls, row.keys })
    assert.equal(7 * 10, row_of(lunette.sum({ value = lunette.arg(1), quiet = true }), frames, 10).sum)
    assert.equal(9 * 1001, row_of(lunette.sum({ value = lunette.result(1), quiet = true }), frames, 1001).sum)
    assert.equal(2, row_of(lunette.max({ value = lunette.stack_depth, quiet = true })).max)
    assert.equal(1, row_of(lunette.latency({ quiet = true }), frames, 1).calls)
    -- Alone, and where frames further out are of the same function.
    assert.equal(1200, row_of(lunette.count({ quiet = true }), { { name = "f", results = { 1.5 } } }, 1200).calls)
    local recursion = { { name = "f" }, { name = "f" }, { name = "g" } }
    row = row_of(lunette.count({ by = { "name", "caller" }, quiet = true }), recursion, 30)
    assert.same({ 30, { "f", "f" } }, { row.calls, row.keys })
    local host = { { name = "write", is_host = true, params = { 1 } }, { name = "f" } }
    row = row_of(lunette.count({ by = "name", quiet = true }), host, 3)
    assert.same({ 3, "write" }, { row.calls, row.key })
  end)

  it("refuses what counts by stacks, as every other session does: they have numbers of its own", function()
    local told = "stacks: what counts by stacks listens in the session that made it alone"
    local counted = lunette.stacks({ quiet = true })
    assert.is_truthy(failure(lunette.bench, 1, { { name = "a" } }, counted):find(told, 1, true))
    local other <close> = lunette.fake({ functions = { "f" } })
    assert.is_truthy(failure(other.lunette.on, "f", counted):find(told, 1, true))
    assert.same({}, { table.unpack(counted:table()) })
  end)

  it("refuses what is no listener", function()
    for text, wrong in pairs({
      ["bench: before must be a function, not a number"] = { before = 5 },
      ["bench: abort must be a function, not a string"] = { before = print, abort = "x" },
      ["bench: a listener (a function, or a table with before, after or abort) expected"] = {},
    }) do
      local problem = failure(function() lunette.bench(1, { { name = "a" } }, wrong) end)
      assert.equal(text, problem:match("^[^\n]*testkit_spec%.lua:%d+: (.*)$"), problem)
    end
  end)
end)
