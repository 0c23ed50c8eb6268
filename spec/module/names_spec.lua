-- SPDX-License-Identifier: MIT
-- Names: where they come from, and that a broken name section costs names and nothing else.

local guest = require("spec.support.guest")
local sections = require("spec.support.sections")
local wat = require("spec.support.wat")

local leb, sized, vector = sections.leb, sections.sized, sections.vector

local function named(index, name) return leb(index) .. sized(name) end

-- A module of three functions with a param each, and what stands behind it.
local function module(...)
  local bytes = sections.with_bodies({ "\0\x0b", "\0\x0b", "\0\x0b" }, "\1\x7f\0") .. table.concat({ ... })
  return guest.session().module({ bytes = bytes, name = "file" })
end

local function names(of)
  local list = {}
  for i, definition in ipairs(of:functions()) do list[i] = definition.name end
  return list
end

describe("a function's name", function()
  after_each(guest.close_all)

  it("is the name section's, else an export, else the import, else the index", function()
    local text = [[(module
      (import "env" "read" (func))
      (func (export "run")) (func $inner) (func))]]
    assert.same({ "env.read", "run", "#2", "#3" }, names(guest.session().module(wat(text, { names = false }))))
    local debug = guest.session().module(sections.header .. wat(text, { names = false }):sub(9)
      .. sections.names({ { 1, vector({ named(0, "imported"), named(2, "inner") }) } }))
    assert.same({ "imported", "run", "inner", "#3" }, names(debug))
  end)

  it("comes with those of params and the module", function()
    local of = module(sections.names({
      { 0, sized("app") },
      { 1, vector({ named(0, "a"), named(1, "b") }) },
      { 2, vector({ leb(0) .. vector({ named(0, "x") }), leb(2) .. vector({ named(0, "y"), named(1, "z") }) }) },
    }))
    assert.equal("app", of.name)
    assert.same({ "a", "b", "#2" }, names(of))
    local functions = of:functions()
    assert.same({ "x", nil, "y" }, { functions[1].param_names[1], functions[2].param_names[1], functions[3].param_names[1] })
  end)

  it("is found among a hundred thousand", function()
    local bodies, entries = {}, {}
    for i = 1, 100000 do bodies[i], entries[i] = "\0\x0b", named(i - 1, "f" .. i) end
    local bytes = sections.with_bodies(bodies) .. sections.names({ { 1, vector(entries) } })
    local functions = guest.session().module(bytes):functions("f77777")
    assert.equal(77776, functions[1].index)
    assert.equal(1, #functions)
  end)
end)

describe("a tag's name", function()
  after_each(guest.close_all)

  it("is the name section's, else an export, else the index", function()
    local text = [[(module (tag (export "a")) (tag (export "b")) (tag)
      (func (export "f0") (throw 0)) (func (export "f1") (throw 1)) (func (export "f2") (throw 2)))]]
    local session = guest.session()
    local instance = session.instantiate(session.module(wat(text, { names = false })
      .. sections.names({ { 11, vector({ named(1, "own") }) } })))
    local told = {}
    for i = 0, 2 do told[i + 1] = guest.failure(instance.invoke, instance, "f" .. i).tag.name end
    assert.same({ "a", "own", "#2" }, told)
  end)
end)

describe("a broken name section", function()
  after_each(guest.close_all)

  it("keeps what was read before the break", function()
    local cut = "\1\x20" .. vector({ named(0, "a"), named(1, "b"), named(2, "c") }):sub(1, -2)
    assert.same({ "a", "b", "#2" }, names(module(sections.section(0, sized("name") .. cut))))
    local past = sections.names({ { 1, "\3" .. named(0, "a") .. "\1\xff\xff\xff\xff\x0fb" } })
    assert.same({ "a", "#1", "#2" }, names(module(past)))
    assert.equal("file", module(past).name)
  end)

  it("passes over what is no name", function()
    local of = module(sections.names({
      { 99, "whatever" },
      { 1, vector({ named(0, "\xff"), named(1, ""), named(2, "ok"), named(7, "nobody"), named(2, "again") }) },
      { 1, vector({ named(0, "late") }) },
    }))
    assert.same({ "late", "#1", "ok" }, names(of))
  end)

  it("is cut at a NUL", function()
    assert.same({ "a", "#1", "#2" }, names(module(sections.names({ { 1, vector({ named(0, "a\0b") }) } }))))
  end)
end)

describe("imports and exports", function()
  after_each(guest.close_all)

  it("tell their types", function()
    local of = guest.session().module(wat([[(module
      (import "m" "memory" (memory 1 2)) (import "m" "table" (table 10 funcref)) (import "m" "global" (global (mut i64)))
      (import "m" "f" (func (param i32) (result f64)))
      (table (export "t") 1 3 externref) (global (export "g") f32 (f32.const 0)) (export "f" (func 0)))]]))
    local texts = {}
    for _, port in ipairs(of.imports) do texts[#texts + 1] = port.type or port.kind end
    for _, port in ipairs(of.exports) do texts[#texts + 1] = port.type or port.kind end
    assert.same({ "memory 1..2 pages", "table 10.. funcref", "global mut i64", "function", "table 1..3 externref", "global f32",
      "function" }, texts)
    assert.same({ "f" }, of:functions()[1].exports)
  end)
end)
