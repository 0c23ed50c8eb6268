-- SPDX-License-Identifier: MIT
-- What is made of the list of the API: stubs for the Lua language server and the reference. They are up to date, they are
-- whole, and the tables that the list describes are those that the API takes.

local api = require("lunette.api")
local command = require("spec.support.command")
local files = require("spec.support.files")
local guest = require("spec.support.guest")
local shapes = require("lunette.shapes")

after_each(guest.close_all)

local function made(what)
  local result = command.run("lua5.4", { "cmake/reference.lua", what })
  assert.same({ "", 0 }, { result.stderr, result.status })
  return result.stdout
end

local function shape(name)
  local fields = {}
  for _, one in ipairs(shapes.list) do
    for i = 3, one[1] == name and #one or 0 do fields[#fields + 1] = one[i][1] end
  end
  assert.is_true(#fields > 0)
  return fields
end

describe("library/lunette.d.lua", function()
  it("is what ./dev docs makes", function()
    assert.is_true(made("stubs") == files.read("library/lunette.d.lua"), "run ./dev docs")
  end)

  it("is Lua, and has every name of the API", function()
    local text = files.read("library/lunette.d.lua")
    assert(load(text))
    for _, row in ipairs(api.rows) do
      local class, mark, name = row[1]:match("^(%w+)([.:])([%w_]+)$")
      local wanted
      if row[2]:sub(1, 1) == "(" then
        wanted = ("\nfunction %s%s%s("):format(class == "function" and "function_" or class, mark, name)
      else
        wanted = ("\n---@field %s "):format(name)
      end
      assert.is_truthy(text:find(wanted, 1, true), row[1])
    end
  end)

  it("knows the types of what it names", function()
    local text = files.read("library/lunette.d.lua")
    local classes = {}
    for name in text:gmatch("%-%-%-@class ([%w_.]+)") do classes[name] = true end
    for line in text:gmatch("%-%-%-@[^\n]+") do
      local kind
      for _, form in ipairs({ "@return (.*)$", "@param %S+ (.*)$", "@field %S+ (%S+)" }) do
        kind = kind or line:match("^%-%-%-" .. form)
      end
      for name in (kind or ""):gmatch("lunette%.[%w_]+") do
        -- In a field's help they are names of the API.
        if not line:find("^%-%-%-@field") or kind:find(name, 1, true) then assert.is_true(classes[name], line) end
      end
    end
  end)

  it("is what its readers expect of some signatures", function()
    local text = files.read("library/lunette.d.lua")
    for _, expected in ipairs({
      "---@param options? lunette.attach_options\n---@return lunette.attachment\n"
        .. "function lunette.on(where, listener, options) end",
      "---@param addr integer\n---@param max? integer\n---@return string\nfunction memory:cstring(addr, max) end",
      "---@return lunette.definition | nil\nfunction module:function_at(code_offset) end",
      "---@param ... any\n---@return any ...\nfunction instance:invoke(name, ...) end",
      "---@field parent_id integer | nil the nearest",
      "---@field inlined { name?: any, linkage_name?: any, file?: any, line?: any, column?: any, inlined?: any }[] ",
      "---@param callback fun(definition: lunette.definition): any\n",
    }) do
      assert.is_truthy(text:find(expected, 1, true), expected)
    end
  end)
end)

describe("docs/reference.md", function()
  it("is what ./dev docs makes", function()
    assert.is_true(made("page") == files.read("docs/reference.md"), "run ./dev docs")
  end)

  it("has every name of the API, with its help", function()
    local text = files.read("docs/reference.md")
    for _, row in ipairs(api.rows) do
      assert.is_truthy(text:find("**`" .. row[1], 1, true), row[1])
      assert.is_truthy(text:find(row[3]:sub(2), 1, true), row[3])
    end
  end)
end)

describe("the tables of the API", function()
  local function is_unknown(problem)
    for _, words in ipairs({ "no such option", "no such field", "no such limit", "a listener has no" }) do
      if problem:find(words, 1, true) then return true end
    end
    return false
  end

  -- `take` is given a table with one field; what it raises must not be that there is no such field.
  local function takes(fields, take)
    for _, name in ipairs(fields) do
      local _, problem = pcall(take, { [name] = {} }, name)
      assert.is_false(is_unknown(tostring(problem)), tostring(problem))
    end
  end

  -- A letter is missing: the error names the field that was meant.
  local function minds(fields, take)
    for _, name in ipairs(fields) do
      local misspelt = #name > 3 and name:sub(1, 2) .. name:sub(4) or name .. "s"
      local _, problem = pcall(take, { [misspelt] = true }, misspelt)
      local told = tostring(problem)
      assert.is_true(is_unknown(told), misspelt .. ": " .. told)
      assert.is_truthy(told:find("did you mean", 1, true), misspelt .. ": " .. told)
    end
  end

  local cases = {
    where = function(session) return function(given) session.on(given, print) end end,
    attach_options = function(session) return function(given) session.on("*", print, given) end end,
    factory_options = function(session) return function(given) session.factory(print, given) end end,
    watch_options = function(session) return function(given) session.on_grow(print, given) end end,
    listener = function(session) return function(given) session.on("*", given) end end,
    balance_options = function(session) return function(given) session.balance("a", "b", given) end end,
    print_options = function(session) return function(given) session.count({ quiet = true }):text(given) end end,
    limits = function() return function(given) guest.session({ limits = given }) end end,
    aggregation_options = function(session)
      return function(given, name)
        if name:find("^[qtsf]") and not name:find("^qu") then
          local kind = name:find("^q") and "quantile" or "lhist"
          given.value = session.arg(1)
          session[kind](given)
        else
          session.sum(given)
        end
      end
    end,
  }

  for name, case in pairs(cases) do
    it("are as the list says: " .. name, function()
      local session = guest.session({ output = "/dev/null" })
      takes(shape(name), case(session))
    end)

    it("mind a misspelt field: " .. name, function()
      local session = guest.session({ output = "/dev/null" })
      minds(shape(name), case(session))
    end)
  end

  it("are explained by help", function()
    local help = api.help("attach_options")
    assert.is_truthy(help:find("  on_error: \"report\" | \"stop\" | function\n    what an error", 1, true))
    assert.is_truthy(api.help("where"):find("\nwhere: which functions", 1, true))
  end)
end)
