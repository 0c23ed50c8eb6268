-- SPDX-License-Identifier: MIT
-- Budgets in a program: lunette.session{script_time=, script_memory=}; and that the library functions which stand in for
-- Lua's own do what those do.

-- Before any session has a budget.
local own = {}
for _, name in ipairs({ "string", "table", "coroutine", "debug" }) do
  own[name] = {}
  for key, value in pairs(_G[name]) do own[name][key] = value end
end
own.load, own.xpcall, own.setmetatable = load, xpcall, setmetatable

local command = require("spec.support.command")
local files = require("spec.support.files")
local guest = require("spec.support.guest")

local failure = guest.failure

-- It hands signals on at calls of the C library only, of which a loop in Lua makes none.
local describe_timed = command.preset ~= "tsan" and describe
  or function(name) pending(name .. ", whose signals the thread sanitizer holds up") end

local text = [[(module
  (func $deep (export "deep") (param i32)
    (if (local.get 0) (then (call $deep (i32.sub (local.get 0) (i32.const 1))))))
  (func $spin (export "spin") (param i32)
    (loop $l (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))))
  (func (export "f") (param i32) (result i32) (local.get 0)))]]

local function endless() while true do end end

local function open(settings)
  return guest.open(text, { session = settings or { script_time = "30ms" } })
end

after_each(guest.close_all)

describe_timed("a session with a script_time", function()
  it("R9 a before that exceeds it counts as not delivered; the listener is muted, counted and reported", function()
    local app, heard = open(), {}
    local attachment = app.lunette.on("f", {
      before = endless,
      after = function() heard[#heard + 1] = "after" end,
      abort = function() heard[#heard + 1] = "abort" end,
    })
    for i = 1, 3 do assert.equal(i, app.instance:invoke("f", i)) end
    assert.same({}, heard)
    assert.same({ 1, 1, 1 }, { attachment.calls, attachment.errors, attachment.muted })
    assert.equal(1, #app.messages)
    assert.is_truthy(app.messages[1]:find("budget_spec.lua:%d+: exceeded its script%-time of 30ms\nstack traceback:"))
  end)

  it("tells on_error, and ends the run with on_error=\"stop\"", function()
    local app, told = open(), {}
    app.lunette.on("f", endless, { on_error = function(message) told[#told + 1] = message end })
    assert.equal(7, app.instance:invoke("f", 7))
    assert.equal(1, #told)
    assert.is_truthy(told[1]:find("exceeded its script-time", 1, true))
    app = open()
    app.lunette.on("f", endless, { on_error = "stop" })
    local err = failure(app.instance.invoke, app.instance, "f", 1)
    assert.equal("listener", err.kind)
    assert.is_truthy(err.message:find("exceeded its script-time of 30ms", 1, true), err.message)
  end)

  it("runs no more finalizers when several have exceeded their time, whatever they are called", function()
    local app = open()
    app.lunette.on("f", function()
      for i = 1, 100 do
        setmetatable({}, { __gc = load("return function() while true do end end", "=c" .. i)() })
      end
      collectgarbage()
    end)
    assert.equal(1, app.instance:invoke("f", 1))
    assert.is_true(#app.messages > 1 and #app.messages <= 9, #app.messages)
  end)

  it("takes a pattern's set by its length, and string.pack's fields together", function()
    local app, problem = open(), nil
    local set, many = "[" .. ("b"):rep(1 << 20) .. "]", ("a"):rep(1 << 20)
    local attachment = app.lunette.on("f", function() many:find(set) end)
    app.lunette.on("f", function()
      local fields = {}
      for i = 1, 200 do fields[i] = "" end
      problem = select(2, pcall(string.pack, ("c16000000"):rep(200), table.unpack(fields)))
    end)
    assert.equal(1, app.instance:invoke("f", 1))
    assert.equal(1, attachment.errors)
    assert.matches("its fields are larger than a callback with a budget may make them", problem)
  end)

  for _, what in ipairs({ "after", "abort" }) do
    it(("tells a listener no more whose %s exceeds it, however many calls are open"):format(what), function()
      local app = open()
      local attachment = app.lunette.on("deep", { [what] = endless })
      if what == "abort" then app.lunette.on("deep", function(_, left) if left == 0 then app.lunette.stop(3) end end) end
      pcall(app.instance.invoke, app.instance, "deep", 500)
      assert.same({ 501, 1 }, { attachment.calls, attachment.errors })
      assert.equal(1, #app.messages)
    end)
  end

  it("does not count the time of the guest that a callback calls", function()
    local app = open({ script_time = "1ms" })
    local attachment = app.lunette.on("f", function() app.instance:invoke("spin", 40000000) end)
    assert.equal(1, app.instance:invoke("f", 1))
    assert.same({ 0, {} }, { attachment.errors, app.messages })
  end)

  it("gives each callback its own time, also inside one another", function()
    local app, list = open(), {}
    app.lunette.on("f", function(_, value)
      if value == 1 then app.instance:invoke("f", 2) end
      list[#list + 1] = value
    end, { reentrant = true })
    app.lunette.on("f", function(_, value) if value == 2 then endless() end end, { reentrant = true })
    assert.equal(1, app.instance:invoke("f", 1))
    assert.same({ 2, 1 }, list)
    assert.equal(1, #app.messages)
  end)

  it("leaves nothing set where a callback's coroutine was interrupted", function()
    local app, co = open(), nil
    app.lunette.on("f", function()
      co = coroutine.create(function()
        pcall(endless)
        coroutine.yield()
      end)
      coroutine.resume(co)
    end)
    app.instance:invoke("f", 1)
    assert.equal(1, #app.messages)
    local fresh = coroutine.wrap(function() for i = 1, 1000 do coroutine.yield(i) end return "all" end)
    for i = 1, 1000 do assert.equal(i, fresh()) end
    assert.equal("all", fresh())
  end)

  it("handles a signal only while it is open", function()
    -- Others come and go, too: libuv's, of the programs that specs start.
    local function caught() return tonumber(files.read("/proc/self/status"):match("SigCgt:%s*(%x+)"), 16) end
    local before = caught()
    local app = open()
    local ours = caught() & ~before
    assert.not_equal(0, ours)
    app.lunette.on("f", endless)
    app.instance:invoke("f", 1)
    local second = guest.session({ script_time = 5000000 })
    assert.equal(ours, caught() & ours)
    app.lunette.close()
    assert.equal(ours, caught() & ours)
    second.close()
    assert.equal(0, caught() & ours)
  end)

  it("runs the finalizers of what callbacks have made, and those of the program", function()
    local app, list = open(), {}
    app.lunette.on("f", function(_, value)
      local object = setmetatable({ value = value }, { __gc = function(self) list[#list + 1] = self.value end })
      assert(getmetatable(object).__gc)
    end)
    for i = 1, 3 do app.instance:invoke("f", i) end
    setmetatable({}, { __gc = function() list[#list + 1] = "program" end })
    collectgarbage()
    collectgarbage()
    table.sort(list, function(a, b) return tostring(a) < tostring(b) end)
    assert.same({ 1, 2, 3, "program" }, list)
    assert.same({}, app.messages)
  end)

  it("says what the options must be", function()
    local lunette = require("lunette")
    local function said(settings) return tostring(failure(lunette.session, settings)) end
    assert.is_truthy(said({ script_time = "soon" }):find("script_time: a duration expected", 1, true))
    assert.is_truthy(said({ script_memory = "much" }):find("script_memory: a size expected, as \"8M\"", 1, true))
    assert.is_truthy(said({ script_memory = 0 }):find("script_memory: a size expected", 1, true))
    assert.is_truthy(said({ script_tiem = 1 }):find("did you mean 'script_time'?", 1, true))
  end)
end)

describe("a session with a script_memory", function()
  it("mutes the listener that runs out of it, and not the others", function()
    local app, heard, kept = open({ script_memory = "2M" }), 0, nil
    local attachment = app.lunette.on("f", function() kept = ("x"):rep(3 << 20) end)
    app.lunette.on("f", function() heard = heard + 1 end)
    for i = 1, 3 do assert.equal(i, app.instance:invoke("f", i)) end
    assert.same({ 3, 1, 1 }, { heard, attachment.errors, attachment.muted })
    assert.is_nil(kept)
    assert.equal(1, #app.messages)
    assert.is_truthy(app.messages[1]:find("exceeded the script-memory of 2M", 1, true), app.messages[1])
    assert.equal(5 << 20, #("x"):rep(5 << 20)) -- the program has what it wants
  end)
end)

-- ---- the same as Lua's own ----
-- Places and functions' names are where and how a function is called; the number is another in Lua 5.4.4's table.remove.
local function plain(value)
  if type(value) == "table" then
    for i = 1, #value do value[i] = plain(value[i]) end
  end
  if type(value) ~= "string" then return value end
  return (value:gsub("^[^\n]-budget_spec.lua:%d+: ", ""):gsub("^(bad argument )#%d+ to '[^']*'", "%1"))
end

local function results(f, ...) return plain(table.pack(pcall(f, ...))) end

local patterns = {
  "", "a", "a*", "a-b", "a+", "b?", ".", ".*", ".-", "^a", "a$", "^a*$", "^", "$", "()a()", "(a)(b)", "((a)b)", "(.-)(b)",
  "[ab]", "[^a]", "[a-c]+", "[]]", "[^]]", "[%]]", "[%a_][%w_]*", "[a-]", "[-a]", "%a+", "%d+", "%s*", "%S+", "%x", "%p", "%c",
  "%u%l", "%g", "%z", "%.", "%%", "%bab", "%b()", "%f[%w]%w+", "%f[^a]", "(a)%1", "(.)(.)%2%1", "a.-c", "(a*(.)%w(%s*))", "\0",
  "[\0a]", "x*y",
  -- and what is wrong
  "(", ")", "%", "[", "[^", "[a", "[a%", "%b", "%ba", "%f", "%fa", "%1", "(a", "(a%1", "a)", "(()", ("()"):rep(33),
  ("a?"):rep(300),
}
local subjects = { "", "a", "ab", "aabbcc", "abc abc", "a(b(c)d)e", "x = 10, yy = 200", "THE (quick) fox", "a]b[c^d-e", "\0a\0",
                   "%d.%5", ("ab"):rep(50), "aXbYcZ_1 2\t3\n" }

describe("the functions that stand in for Lua's own", function()
  before_each(function() open() end)

  it("are others", function()
    for _, name in ipairs({ "find", "match", "gmatch", "gsub", "rep" }) do assert.not_equal(own.string[name], string[name]) end
  end)

  it("find and match the same, and fail with the same words", function()
    for _, pattern in ipairs(patterns) do
      for _, subject in ipairs(subjects) do
        for _, init in ipairs({ 1, 2, -1, -3, 0, 5, 100, -100 }) do
          for _, name in ipairs({ "find", "match" }) do
            assert.same(results(own.string[name], subject, pattern, init),
                        results(string[name], subject, pattern, init), pattern)
          end
        end
        assert.same(results(own.string.find, subject, pattern, 1, true), results(string.find, subject, pattern, 1, true))
      end
    end
  end)

  it("iterate and replace the same", function()
    local function all(gmatch, subject, pattern, init)
      local list = {}
      for a, b, c in gmatch(subject, pattern, init) do list[#list + 1] = { a, b, c } end
      return list
    end
    local news = { "<%0>", "%1", "%2%1", "%%", "", "x", "%", "%a", 7, { a = "b", ab = 1, b = false },
                   function(a) return a and #tostring(a) > 1 and "long" end, function() return {} end, function() end, true }
    for _, pattern in ipairs(patterns) do
      for _, subject in ipairs(subjects) do
        for _, init in ipairs({ 1, 2, -2 }) do
          assert.same(results(all, own.string.gmatch, subject, pattern, init),
                      results(all, string.gmatch, subject, pattern, init))
        end
        for _, new in ipairs(news) do
          assert.same(results(own.string.gsub, subject, pattern, new), results(string.gsub, subject, pattern, new),
                      pattern .. " " .. tostring(new))
          assert.same(results(own.string.gsub, subject, pattern, new, 1), results(string.gsub, subject, pattern, new, 1))
        end
      end
    end
  end)

  it("repeat the same", function()
    for _, args in ipairs({ { "ab", 3 }, { "ab", 3, "-" }, { "", 5 }, { "", 5, "," }, { "x", 0 }, { "x", -1 }, { "x", 1, "," },
      { "abc", 70000, "," }, { ("x"):rep(70000), 3, "y" }, { "x", 1 << 62, "yy" }, { 5, 2 }, { "x" }, { "x", 1.5 } }) do
      assert.same(results(own.string.rep, table.unpack(args)), results(string.rep, table.unpack(args)))
    end
  end)

  it("move, insert, remove and sort the same", function()
    local function after(f, list, ...)
      local copy = own.table.move(list, 1, #list, 1, {})
      local said = results(f, copy, ...)
      for i = 1, said.n do
        if said[i] == copy then said[i] = "it" end
      end
      return { said, copy }
    end
    local lists = { {}, { 1 }, { 3, 1, 2 }, { "c", "a", "b" }, { 1, "x" } }
    local calls = {
      insert = { { 5 }, { 1, 5 }, { 2, 5 }, { 4, 5 }, { 9, 5 }, { 0, 5 }, {}, { 1, 2, 3 } },
      remove = { {}, { 1 }, { 2 }, { 4 }, { 9 }, { 0 }, { -1 } },
      move = { { 1, 3, 2 }, { 2, 3, 1 }, { 1, 0, 5 }, { 1, 3, 1 }, { 1, math.maxinteger, 2 }, { -1, math.maxinteger, 2 },
               { 1, 2, math.maxinteger }, { 1, 2, 3, {} }, { 1, 2 }, { 1, 2, 3, 4 } },
      sort = { {}, { function(a, b) return a > b end }, { 5 }, { function() return true end } },
    }
    for name, several in pairs(calls) do
      for _, list in ipairs(lists) do
        for _, args in ipairs(several) do
          assert.same(after(own.table[name], list, table.unpack(args)), after(table[name], list, table.unpack(args)), name)
        end
      end
      assert.same(results(own.table[name], 5, 1, 2, 3), results(table[name], 5, 1, 2, 3))
    end
  end)

  it("resume, wrap and close coroutines the same", function()
    local function use(library)
      local list = {}
      local function note(...) list[#list + 1] = table.pack(...) end
      local co = library.create(function(...)
        note("begun", ...)
        note("again", library.yield(1, 2))
        error("no good", 0)
      end)
      note(library.resume(co, 7, 8))
      note(library.resume(co, 9))
      note(library.resume(co))
      note(library.close(co))
      local wrapped = library.wrap(function(a) note(library.yield(a)) return "end" end)
      note(wrapped("x"))
      note(wrapped("y"))
      note(pcall(wrapped))
      note(pcall(library.wrap(function() error({ "table" }) end)))
      note(pcall(library.resume, 5))
      note(pcall(library.wrap, 5))
      note(pcall(library.close, library.running()))
      local half = library.create(function()
        local _ <close> = setmetatable({}, { __close = function() note("closed") error("late", 0) end })
        library.yield()
      end)
      library.resume(half)
      note(library.close(half))
      note(library.status(half))
      note(xpcall(library.wrap(function() return xpcall(library.yield, print, "through") end), print))
      return plain(list)
    end
    assert.same(use(own.coroutine), use(coroutine))
  end)

  it("load and call protected the same", function()
    local function use(loads, calls)
      local list = {}
      local function note(...) list[#list + 1] = table.pack(...) end
      note(loads("return 1 + 1")())
      note(loads("x ="))
      note(loads("return x", "=name", "t", { x = 5 })())
      note(loads(string.dump(function() return 3 end), "=b", "b")())
      note(loads(string.dump(function() return 3 end), "=b", "t"))
      note(loads("return 1", "=name", "b"))
      local parts = { "return ", "7", nil }
      note(loads(function() return table.remove(parts, 1) end)())
      note(loads(function() return {} end))
      note(loads(function() error("reader", 0) end))
      note(loads("return " .. ("1 + "):rep(50000) .. "0")())
      note(pcall(loads))
      note(calls(function(...) return ... end, print, 1, 2, 3))
      note(calls(error, function(e) return e .. "!" end, "no"))
      note(calls(error, function() error("again", 0) end, "no"))
      note(pcall(calls, print))
      return plain(list)
    end
    assert.same(use(own.load, own.xpcall), use(load, xpcall))
  end)
end)
