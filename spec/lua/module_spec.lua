-- SPDX-License-Identifier: MIT
-- lunette.module and definitions.

local files = require("spec.support.files")
local guest = require("spec.support.guest")
local wat = require("spec.support.wat")

local failure = guest.failure

local text = [[(module $calc
  (import "env" "log" (func $log (param $text i32)))
  (import "env" "limit" (global $limit i32))
  (memory (export "mem") 1 2)
  (func $add (export "add") (export "plus") (param $a i32) (param $b i64) (result f32) (f32.const 0))
  (func (param f64)))]]

after_each(guest.close_all)

describe("lunette.module", function()
  it("reads bytes, tables with bytes and files", function()
    local session = guest.session()
    local folder <close> = files.temporary()
    files.write(folder .. "/some.app.wasm", wat("(module)"))
    assert.equal("", session.module(wat("(module)")).name)
    assert.equal("mine", session.module({ bytes = wat("(module)"), name = "mine" }).name)
    assert.equal("some.app", session.module({ file = folder .. "/some.app.wasm" }).name)
    assert.equal("calc", session.module({ bytes = wat(text), name = "mine" }).name)
  end)

  it("raises an err for what is no module", function()
    local session = guest.session()
    local err = failure(session.module, "nonsense")
    assert.equal("malformed", err.kind)
    assert.equal("integer", math.type(err.offset))
    err = failure(session.module, wat('(module (func (result i32)))', { invalid = true }))
    assert.equal("invalid", err.kind)
    err = failure(session.module, { file = "/there/is/no/such.wasm" })
    assert.equal("no input", err.kind)
    assert.is_truthy(err.message:find("/there/is/no/such.wasm: No such file", 1, true))
    assert.is_truthy(failure(function() session.module({}) end):find("module_spec.lua:%d+: module: bytes"))
    assert.is_truthy(failure(session.module, 7):find("table expected", 1, true))
  end)

  it("tells imports and exports", function()
    local module = guest.session().module(wat(text))
    local log, limit = table.unpack(module.imports)
    assert.same({ "env", "log", "function", "log" }, { log.module, log.name, log.kind, log.definition.name })
    assert.same({ "limit", "global" }, { limit.name, limit.kind })
    assert.is_truthy(limit.type:find("i32", 1, true))
    local names = {}
    for i, export in ipairs(module.exports) do names[i] = export.name .. " " .. export.kind end
    assert.same({ "mem memory", "add function", "plus function" }, names)
  end)

  it("lists functions, all or those of a where", function()
    local module = guest.session().module(wat(text))
    local function names(where)
      local list = {}
      for i, definition in ipairs(module:functions(where)) do list[i] = definition.name end
      return list
    end
    assert.same({ "log", "add", "#2" }, names())
    assert.same({ "add" }, names("a*"))
    assert.same({ "log" }, names({ import = true }))
    assert.same({ "add", "#2" }, names(function(definition) return definition.index > 0 end))
  end)

  it("keeps what its definitions need", function()
    local session = guest.session()
    local definition = session.module(wat(text)):functions("add")[1]
    collectgarbage()
    collectgarbage()
    assert.equal("add", definition.name)
    assert.same({ "a", "b" }, definition.param_names)
  end)
end)

describe("a definition", function()
  it("tells the static facts", function()
    local module = guest.session().module(wat(text))
    local log, add, nameless = table.unpack(module:functions())
    assert.same({ 1, "add", "add", false }, { add.index, add.name, add.raw_name, add.is_host })
    assert.equal("calc", add.module)
    assert.same({ "add", "plus" }, add.exports)
    assert.same({ "i32", "i64" }, add.params)
    assert.same({ "f32" }, add.results)
    assert.is_nil(add.import)
    assert.is_true(add.size > 0 and add.offset > 0 and nameless.offset > add.offset)
    assert.same({ module = "env", name = "log" }, log.import)
    assert.same({}, log.results)
    assert.is_nil(log.offset)
    assert.is_nil(log.size)
    assert.same({ "#2", {} }, { nameless.name, nameless.param_names })
    assert.equal("definition add (#1)", tostring(add))
  end)

  it("tells which names come from the name section", function()
    local _, add, nameless = table.unpack(guest.session().module(wat(text)):functions())
    assert.same({ "add", "calc", 2 }, { add.own_name, add.own_module, add.named_locals })
    assert.same({ 0 }, { nameless.named_locals, nameless.own_name })
    local stripped = guest.session().module({ bytes = wat(text, { names = false }), name = "file" }):functions("add")[1]
    assert.same({ "add", "file" }, { stripped.name, stripped.module })
    assert.is_nil(stripped.own_name)
    assert.is_nil(stripped.own_module)
  end)

  it("is the same object each time", function()
    local module = guest.session().module(wat(text))
    local by_definition = {}
    by_definition[module:functions("add")[1]] = 1
    assert.equal(1, by_definition[module.exports[2].definition])
  end)

  it("names the nearest field where there is none", function()
    local definition = guest.session().module(wat(text)):functions()[1]
    assert.is_truthy(failure(function() return definition.nmae end):find("did you mean 'name'?", 1, true))
    assert.is_truthy(failure(function() definition.name = "x" end):find("can't be set", 1, true))
  end)
end)
