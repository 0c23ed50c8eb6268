-- SPDX-License-Identifier: MIT
-- Exceptions: thrown, caught, handed through host functions, between instances; the objects and how long they live. The
-- semantics of the instructions are the official suite's to test.

local c = require("spec.support.c")
local files = require("spec.support.files")
local guest = require("spec.support.guest")
local sections = require("spec.support.sections")
local wat = require("spec.support.wat")

after_each(guest.close_all)

local failure, leb, section, sized, vector = guest.failure, sections.leb, sections.section, sections.sized, sections.vector

-- A module with try_table, which wabt's text does not know: `functions` are { type, body } where the types are 0 () -> (),
-- 1 (i32) -> (), 2 () -> i32, 3 () -> exnref, 4 () -> (i32 exnref). Tag 0 carries an i32, tag 1 nothing.
-- `first` is the first function's export "f0", and so on.
local function module_of(functions, extra)
  local indexes, bodies, exports = {}, {}, { sized("tag") .. "\4\0" }
  for i, item in ipairs(functions) do
    indexes[i], bodies[i] = leb(item[1]), sized("\0" .. item[2] .. "\x0b")
    exports[#exports + 1] = sized("f" .. i - 1) .. "\0" .. leb(i - 1)
  end
  return sections.header
    .. section(1, vector({ "\x60\0\0", "\x60\1\x7f\0", "\x60\0\1\x7f", "\x60\0\1\x69", "\x60\0\2\x7f\x69" }))
    .. section(3, vector(indexes)) .. section(13, vector({ "\0\1", "\0\0" })) .. (extra or "")
    .. section(7, vector(exports)) .. section(10, vector(bodies))
end

local throws = { 0, "\x41\x2a\x08\0" }              -- i32.const 42 throw 0

local function instance_of(functions, extra)
  local session = guest.session()
  return session.instantiate(session.module(module_of(functions, extra))), session
end

describe("try_table", function()
  it("gives a label the values of the tag that it catches", function()
    local app = instance_of({ throws, { 2, "\x02\x7f\x1f\x40\1\0\0\0\x10\0\x0b\x41\1\x0b" } })
    assert.equal(42, app:invoke("f1"))
  end)

  it("gives the exception itself where asked, which can be thrown again", function()
    local app = instance_of({
      throws,
      { 3, "\x02\4\x1f\x40\1\1\0\0\x10\0\x0b\0\x0b\x24\0\x1a\x23\0" }, -- (i32 exnref); global.set, drop, global.get
      { 0, "\x10\1\x0a" },                                           -- call 1, throw_ref
    }, section(6, vector({ "\x69\1\xd0\x69\x0b" })))
    local exception = app:invoke("f1")
    assert.same({ 42 }, exception.values)
    assert.equal("tag", exception.tag.name)
    local err = failure(app.invoke, app, "f2")
    assert.equal("tag(42) was not caught", err.message)
    assert.is_true(err.tag == app.exports.tag and err.exception ~= exception) -- f2 has thrown another one
  end)

  it("catches anything, or anything with the exception", function()
    local app = instance_of({
      throws,
      { 2, "\x02\x40\x1f\x40\1\2\0\x10\0\x0b\x41\1\x0f\x0b\x41\2" },
      { 3, "\x02\x69\x1f\x40\1\3\0\x10\0\x0b\0\x0b" },
    })
    assert.equal(2, app:invoke("f1"))
    assert.same({ 42 }, app:invoke("f2").values)
  end)

  it("can go back to a loop, and out of the function", function()
    local app = instance_of({
      throws,
      -- catch to the function's own end
      { 2, "\x1f\x40\1\0\0\0\x10\0\x0b\x41\7" },
      -- loop (param i32): counts a global up until it is 3
      { 2, "\x41\0\x03\1\x23\0\x6a\x24\0\x23\0\x41\x90\3\x4e\x04\x40\x23\0\x0f\x0b\x1f\x40\1\0\0\0\x10\0\x0b\0\x0b\0" },
    }, section(6, vector({ "\x7f\1\x41\0\x0b" })))
    assert.equal(42, app:invoke("f1"))
    assert.equal(420, app:invoke("f2"))
  end)

  it("does not catch traps, and a null exception is one", function()
    local app = instance_of({
      { 0, "\0" },
      { 2, "\x02\x40\x1f\x40\1\2\0\x10\0\x0b\x0b\x41\2" },
      { 0, "\x1f\x40\1\2\0\xd0\x69\x0a\x0b" },
    })
    assert.same({ "trap", "unreachable" }, { failure(app.invoke, app, "f1").kind, failure(app.invoke, app, "f1").code })
    assert.same({ "trap", "null reference" }, { failure(app.invoke, app, "f2").kind, failure(app.invoke, app, "f2").code })
  end)
end)

local legacy = [[
  (module $app
    (tag $e (export "e") (param i32 i64 f32 f64))
    (tag $other (param v128))
    (func $throws (export "throws") (throw $e (i32.const -1) (i64.const 5) (f32.const 1.5) (f64.const 0.1)))
    (func (export "other") (throw $other (v128.const i32x4 1 2 3 4)))
    (func $deep (export "deep") (param i32)
      (if (local.get 0) (then (call $deep (i32.sub (local.get 0) (i32.const 1)))) (else (call $throws)))))]]

describe("an exception that nobody catches", function()
  it("ends the run with its tag and values", function()
    local app = guest.open(legacy)
    local err = failure(app.instance.invoke, app.instance, "throws")
    assert.equal("exception", err.kind)
    assert.same({ -1, 5, 1.5, 0.1 }, err.values)
    assert.is_true(err.tag == app.instance.exports.e)
    assert.same({ "i32", "i64", "f32", "f64" }, err.tag.params)
    assert.is_false(err.caught)
    assert.equal("e(-1, 5, 1.5, 0.10000000000000001) was not caught", err.message)
    assert.equal(134, err.exit_status)
    assert.same({ 1, "throws" }, { #err.stack, err.stack[1].definition.name })
    assert.same({ "\1\0\0\0\2\0\0\0\3\0\0\0\4\0\0\0" }, failure(app.instance.invoke, app.instance, "other").values)
  end)

  it("has the stack at the throw", function()
    local app = guest.open(legacy)
    local err = failure(app.instance.invoke, app.instance, "deep", 500)
    assert.same({ 502, "throws", "deep" }, { #err.stack, err.stack[1].definition.name, err.stack[502].definition.name })
  end)

  it("leaves the instance as usable as before", function()
    local app = guest.open(legacy)
    for _ = 1, 100 do failure(app.instance.invoke, app.instance, "deep", 10) end
    assert.equal("exception", failure(app.instance.invoke, app.instance, "deep", 10).kind)
  end)
end)

describe("host functions and exceptions", function()
  local text = [[
    (module $app
      (import "host" "tag" (tag $h (param i32 externref)))
      (import "host" "f" (func $f (param i32) (result i32)))
      (tag $own (export "own") (param i32))
      (func (export "throws") (param i32) (throw $own (local.get 0)))
      (func (export "catches") (param i32) (result i32)
        (try (result i32) (do (call $f (local.get 0)))
          (catch $h drop (i32.const 1000) i32.add)
          (catch $own (i32.const 2000) i32.add)))
      (func (export "plain") (param i32) (result i32) (call $f (local.get 0)))
      (func (export "twice") (param i32) (result i32)
        (try (result i32) (do
          (try (result i32) (do (call $f (local.get 0))) (catch_all (rethrow 0))))
          (catch $own (i32.const 3000) i32.add))))]]

  local function open(f)
    local app
    local session = guest.session()
    local tag = session.tag({ params = { "i32", "externref" } })
    local host = session.host("host", { tag = tag, f = { params = { "i32" }, results = { "i32" },
      function(_, n) return f(app, n, tag) end } })
    app = session.instantiate(session.module(wat(text)), { imports = { host } })
    return app, tag
  end

  it("can throw, with a tag of the host's making", function()
    local app, tag = open(function(_, n, tag) error(tag:exception(n, {})) end)
    assert.equal(1007, app:invoke("catches", 7))
    local err = failure(app.invoke, app, "plain", 8)
    assert.same({ "exception", 8 }, { err.kind, err.values[1] })
    assert.is_true(err.tag == tag)
  end)

  it("can swallow one of the guest's, or hand it on: the same is thrown again", function()
    local app = open(function(app, n)
      local ok, err = pcall(app.invoke, app, "throws", n)
      assert(not ok)
      if n > 100 then error(err) end
      return err.values[1] + 1
    end)
    assert.equal(8, app:invoke("catches", 7))
    assert.equal(2101, app:invoke("catches", 101))
    assert.equal(3101, app:invoke("twice", 101))
    local err = failure(app.invoke, app, "plain", 102)
    assert.same({ "exception", 102 }, { err.kind, err.values[1] })
    assert.same({ "throws", "host.f", "plain" }, { err.stack[1].definition.name, "host.f", err.stack[3].definition.name })
  end)

  it("say what is wrong with the values of one", function()
    local session = guest.session()
    local tag = session.tag({ params = { "i32", "f64" } })
    assert.matches("value 1 of tag must be i32, not a string", failure(tag.exception, tag, "x"))
    assert.matches("tag carries 2 values, got 3", failure(tag.exception, tag, 1, 2, 3))
    assert.matches("no such type: 'i33'", failure(session.tag, { params = { "i33" } }))
    assert.same({ 1, 2.0 }, tag:exception(1, 2).values)
  end)
end)

describe("tags", function()
  it("are linked by identity and by type", function()
    local session = guest.session()
    local module = session.module(wat([[
      (module (tag $t (export "t") (param i32)) (func (export "throws") (throw $t (i32.const 1))))]]))
    local user = session.module(wat([[
      (module (import "a" "t" (tag $t (param i32))) (import "b" "throws" (func $throws))
        (func (export "run") (result i32)
          (try (result i32) (do (call $throws) (i32.const 0)) (catch $t) (catch_all (i32.const 2)))))]]))
    local a, b = session.instantiate(module), session.instantiate(module)
    assert.equal(1, session.instantiate(user, { imports = { a = a, b = a } }):invoke("run"))
    assert.equal(2, session.instantiate(user, { imports = { a = a, b = b } }):invoke("run"))
    assert.is_false(a.exports.t == b.exports.t)
    local err = failure(session.instantiate, user, { imports = { a = { t = session.tag({ params = { "i64" } }) }, b = b } })
    assert.same({ "unlinkable", "incompatible import type: a.t (tag (i32))" }, { err.kind, err.message })
    err = failure(session.instantiate, user, { imports = { b = b } })
    assert.same({ "unlinkable", "unknown import: a.t (tag (i32))" }, { err.kind, err.message })
  end)

  it("stand among a module's imports and exports", function()
    local session = guest.session()
    local module = session.module(wat([[(module (import "m" "t" (tag (param i32 f64))) (tag (export "u")))]]))
    assert.same({ "tag", "tag (i32 f64)" }, { module.imports[1].kind, module.imports[1].type })
    assert.same({ "tag", "tag ()" }, { module.exports[1].kind, module.exports[1].type })
  end)
end)

describe("exception objects", function()
  local loop = [[
    (module (tag $e (param i64))
      (func $throws (param i64) (throw $e (local.get 0)))
      (func (export "many") (param i64) (result i64) (local $sum i64)
        (loop
          (try (do (call $throws (local.get 0))) (catch $e (local.set $sum (i64.add (local.get $sum)))))
          (local.set 0 (i64.sub (local.get 0) (i64.const 1)))
          (br_if 0 (i64.ne (local.get 0) (i64.const 0))))
        (local.get $sum)))]]

  it("that nobody has any more are freed: the limit on those alive is never met", function()
    local app = guest.open(loop)
    assert.equal(2000001000000, app.instance:invoke("many", 2000000)) -- 100 MB, if they stayed
  end)

  it("that the guest keeps in a table, a global or one another stay", function()
    local session = guest.session()
    -- f1: makes a chain, each exception carrying the one before (tag 2), in global 0; f2: its length
    local bytes = sections.header
      .. section(1, vector({ "\x60\1\x69\0", "\x60\1\x7f\0", "\x60\0\1\x7f", "\x60\1\x69\1\x69" }))
      .. section(3, vector({ "\3", "\1", "\2" })) .. section(13, vector({ "\0\0" }))
      .. section(6, vector({ "\x69\1\xd0\x69\x0b" }))
      .. section(7, vector({ sized("make") .. "\0\1", sized("length") .. "\0\2" }))
      .. section(10, vector({
        -- (exnref) -> exnref: an exception that carries the param
        sized("\0\x02\x69\x1f\x40\1\3\0\x20\0\x08\0\x0b\0\x0b\x0b"),
        -- (n): global 0 = wrapped global 0, n times
        sized("\0\x03\x40\x23\0\x10\0\x24\0\x20\0\x41\1\x6b\x22\0\x0d\0\x0b\x0b"),
        -- length: throws global 0, catches what it carries, until null
        sized("\1\1\x7f\x02\x40\x03\x40\x23\0\xd1\x0d\1\x20\0\x41\1\x6a\x21\0"
          .. "\x02\x69\x1f\x40\1\0\0\0\x23\0\x0a\x0b\0\x0b\x24\0\x0c\0\x0b\x0b\x20\0\x0b"),
      }))
    local app = session.instantiate(session.module(bytes))
    app:invoke("make", 50000)
    assert.equal(50000, app:invoke("length"))
    assert.equal(0, app:invoke("length"))
    local err = failure(app.invoke, app, "make", 5000000)
    assert.equal("exhausted", err.kind)
    assert.matches("^the exceptions alive have %d+ bytes, the limit is 67108864$", err.message)
    assert.is_true(app:invoke("length") > 100000)
  end)

  it("stay while an err has them, also when the session is closed", function()
    local app = guest.open(legacy)
    local err = failure(app.instance.invoke, app.instance, "throws")
    for _ = 1, 5000 do failure(app.instance.invoke, app.instance, "deep", 3) end
    assert.same({ -1, 5, 1.5, 0.1 }, err.values)
    local exception = err.exception
    assert.is_true(exception == err.exception)
    app.lunette.close()
    assert.is_nil(err.values)
    assert.matches("session is closed", tostring(exception))
  end)
end)

describe("exceptions in C", function()
  it("are thrown, read, swallowed, handed on and heard by the door alone", function()
    local folder <close> = files.temporary()
    files.write(folder .. "/guest.wasm", wat(files.read("spec/c/exceptions.wat")))
    assert.matches("^%d+ checks, 0 failed\n$", c("exceptions", folder .. "/guest.wasm"))
  end)
end)
