-- SPDX-License-Identifier: MIT
-- Which functions a where chooses, and what is said of one that cannot be read.

local c = require("spec.support.c")
local files = require("spec.support.files")
local guest = require("spec.support.guest")
local wat = require("spec.support.wat")
local core = require("lunette.core")

local text = [[(module
  (import "env" "read" (func $in))
  (import "env" "write" (func $out))
  (func $alpha (export "run"))
  (func $alphabet)
  (func $beta (export "run_2") (export "go"))
  (func $beta_r)
  (func (export "g\c3\a4mma")))]]

local module

local function chosen(...)
  local patterns = { ... }
  local list = {}
  for i, definition in ipairs(module:functions(#patterns == 1 and patterns[1] or patterns)) do list[i] = definition.name end
  return table.concat(list, " ")
end

local function refused(pattern)
  local err = guest.failure(module.functions, module, pattern)
  return tostring(err):match("where .*")
end

describe("a where", function()
  before_each(function() module = guest.session().module(wat(text)) end)
  after_each(guest.close_all)

  it("is a glob over any name of a function", function()
    assert.equal("alpha", chosen("alpha"))
    assert.equal("alpha alphabet", chosen("alpha*"))
    assert.equal("alpha beta", chosen("run*"))
    assert.equal("beta", chosen("?eta"))
    assert.equal("in out", chosen("env.*"))
    assert.equal("out", chosen("write"))
    assert.equal("in out alpha alphabet beta beta_r g\u{e4}mma", chosen("*"))
    assert.equal("", chosen("Alpha"))
    assert.equal("", chosen("lph"))
    assert.equal("alpha alphabet", chosen("*l*p*a*"))
  end)

  it("has sets, and takes a character for what it is in UTF-8", function()
    assert.equal("alpha alphabet beta beta_r", chosen("[a-b]*"))
    assert.equal("in out", chosen("[!a-hr]*[nt]"))
    assert.equal("in out", chosen("[^a-hr]*[nt]"))
    assert.equal("g\u{e4}mma", chosen("g?mma"))
    assert.equal("g\u{e4}mma", chosen("g[\u{e0}-\u{ff}]mma"))
    assert.equal("", chosen("g??mma"))
    assert.equal("", chosen("[]]*"))
  end)

  it("takes a character behind a backslash as it is, and all of what stands behind an equals sign", function()
    assert.equal("alpha", chosen("\\alpha"))
    assert.equal("", chosen("alpha\\*"))
    assert.equal("", chosen("=alpha*"))
    assert.equal("alphabet", chosen("=alphabet"))
    assert.equal("in", chosen("=env.read"))
  end)

  it("can ask for imports, exports, host functions and indexes", function()
    assert.equal("in out", chosen("import:env.*"))
    assert.equal("", chosen("import:read"))
    assert.equal("beta", chosen("export:g?"))
    assert.equal("", chosen("export:beta"))
    assert.equal("in out", chosen("host:*"))
    assert.equal("alpha", chosen("#2"))
    assert.equal("alphabet beta beta_r", chosen("#3-5"))
    assert.equal("", chosen("#99"))
  end)

  it("excludes in any order", function()
    assert.equal("in out alpha alphabet g\u{e4}mma", chosen("!beta*"))
    assert.equal("beta", chosen("beta*", "!*_r"))
    assert.equal("beta", chosen("!*_r", "beta*"))
    assert.equal("alpha beta", chosen("alpha", "beta"))
    assert.equal("in out", chosen("!#2-6"))
    assert.equal("alpha", chosen("export:*", "!export:go", "!export:g*"))
  end)

  it("can be a table of conditions, all of which hold", function()
    assert.equal("alpha alphabet", chosen({ name = "alpha*" }))
    assert.equal("alpha", chosen({ name = { "alpha*", "!*bet" } }))
    assert.equal("alpha", chosen({ name = "alpha*", export = true }))
    assert.equal("alphabet", chosen({ name = "alpha*", export = false }))
    assert.equal("in out", chosen({ import = true }))
    assert.equal("out", chosen({ import = "env.w*" }))
    assert.equal("alpha alphabet beta beta_r g\u{e4}mma", chosen({ host = false }))
    assert.equal("in out", chosen({ host = true }))
    assert.equal("alpha", chosen({ index = 2 }))
    assert.equal("alphabet beta", chosen({ index = { 3, 4 } }))
    local all = { "*e*", name = "beta*", export = { "run*", "go" }, index = { 0, 9 }, module = "*", host = false }
    assert.equal("beta", chosen(all))
    assert.equal("", chosen({ module = "other" }))
    assert.equal("", chosen({ file = "*" })) -- it has no debug information
  end)

  it("can be a function of the definition", function()
    assert.equal("alphabet beta_r", chosen(function(definition) return not definition.is_host and #definition.exports == 0
      and definition.import == nil end))
  end)

  it("says where and why it cannot be read", function()
    assert.equal('where "foo[a", character 4: this [ has no ]', refused("foo[a"))
    assert.equal([[where "[z-a]", character 2: this range runs backwards]], refused("[z-a]"))
    assert.equal('where "\u{e4}\\", character 2: a backslash at the end has nothing to protect', refused("\u{e4}\\"))
    assert.equal([[where "#", character 2: an index is expected, as in #12 or #10-20 (\# is the character)]], refused("#"))
    assert.equal([[where "#9-3", character 2: this range runs backwards]], refused("#9-3"))
    assert.equal([[where "!", character 2: a name or a glob is missing]], refused("!"))
    assert.equal([[where "import:", character 8: a name or a glob is missing]], refused("import:"))
  end)

  it("names what may have been meant", function()
    assert.same({ "alpha" }, core.where("alhpa"):nearest(module))
    assert.same({ "import:env.write" }, core.where("import:env.wirte"):nearest(module))
    assert.same({ "export:run" }, core.where("export:rnu"):nearest(module))
    assert.same({ "alpha", "alphabet" }, core.where("LPHA"):nearest(module))
    assert.same({}, core.where("zzzzzz"):nearest(module))
    assert.same({}, core.where("#77"):nearest(module))
  end)
end)

describe("the library's door", function()
  it("chooses, refuses and gives the locals of frames as it says", function()
    local folder <close> = files.temporary()
    files.write(folder .. "/guest.wasm", wat([[(module
      (import "env" "read" (func $in))
      (import "env" "write" (func $out))
      (func $alpha (export "run") (local $count i32) (local v128)
        (local.set $count (i32.const 17))
        (local.set 1 (v128.const i64x2 3 4))
        (call $alphabet))
      (func $alphabet (local i64))
      (func $beta) (func $beta_r) (func $gamma))]]))
    assert.equal("well\n", c("wheres", folder .. "/guest.wasm"))
  end)
end)
