-- SPDX-License-Identifier: MIT
-- Mangled names are shown as their languages write them, and found under both; what is no mangled name, or stands for far too
-- much, stays as it is.

local guest = require("spec.support.guest")
local sections = require("spec.support.sections")

after_each(guest.close_all)

-- The definition of a function of that name.
local function named(name)
  local bytes = sections.with_bodies({ "\0\x0b" })
  local names = sections.names({ { 1, sections.vector({ sections.leb(0) .. sections.sized(name) }) } })
  local module = guest.session().module(bytes .. names)
  return module:functions()[1], module
end

local known = {
  { "_ZN3geo3Box4areaEv", "geo::Box::area()" },
  { "_ZNK3geo5Shape5twiceEv", "geo::Shape::twice() const" },
  { "_Z5clampIdET_S0_S0_", "double clamp<double>(double, double)" },
  { "_ZNSt3mapIiiSt4lessIiESaISt4pairIKiiEEEixERS3_",
    "std::map<int, int, std::less<int>, std::allocator<std::pair<int const, int> > >::operator[](int const&)" },
  { "_ZN12_GLOBAL__N_14helpEv", "(anonymous namespace)::help()" },
  { "_ZN7rs_bank4main17h0123456789abcdefE", "rs_bank::main" },
  { "_ZN4core3ptr42drop_in_place$LT$alloc..string..String$GT$17h0123456789abcdefE",
    "core::ptr::drop_in_place<alloc::string::String>" },
  { "_RNvCs1234_7mycrate3foo", "mycrate::foo" },
  { "_RINvNtC3std3mem8align_ofjE", "std::mem::align_of::<usize>" },
  { "_RNvNtCs1234_7mycrate1au8gdel_5qa", "mycrate::a::gödel" },
}

-- A number as back references have it.
local function digits(number, base)
  local signs = base == 36 and "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    or "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
  local written = ""
  repeat
    written = signs:sub(number % base + 1, number % base + 1) .. written
    number = number // base
  until number == 0
  return written
end

describe("a mangled name", function()
  for _, case in ipairs(known) do
    it(("%s is %s"):format(case[1], case[2]), function()
      local definition, module = named(case[1])
      assert.same({ case[2], case[1], case[1] }, { definition.name, definition.raw_name, definition.own_name })
      assert.equal(1, #module:functions("=" .. case[1]))
      assert.equal(1, #module:functions("=" .. case[2]))
      assert.equal(0, #module:functions("=" .. case[2] .. "x"))
    end)
  end

  it("is found by globs in both forms", function()
    local _, module = named("_ZN3geo3Box4areaEv")
    for _, glob in ipairs({ "geo::*", "*::area()", "_ZN3geo*", "*Box*" }) do assert.equal(1, #module:functions(glob), glob) end
    assert.equal(0, #module:functions({ "*", "!geo::*" }))
  end)

  it("that is none stays as it is", function()
    for _, name in ipairs({ "main", "_Z", "_R", "_Zz", "_ZN", "_RNv", "Z3foov", "_start", "_ZN3geo", "_RNvC" }) do
      assert.equal(name, named(name).name)
    end
  end)

  it("may repeat itself", function()
    assert.equal("f(A<int, int>, A<A<int, int>, A<int, int> >)", named("_Z1f1AIiiES_IS0_S0_E").name)
    assert.equal("a::f::<(usize, usize), ((usize, usize), (usize, usize))>", named("_RINvC1a1fTjjETB7_B7_EE").name)
  end)

  it("that stands for text without end stays as it is", function()
    -- Each further type takes the one before twice.
    local doubled = "_Z1f1AIiiE"
    for level = 0, 60 do doubled = doubled .. ("S_IS%s_S%s_E"):format(digits(level, 36), digits(level, 36)) end
    local rust, before = "_RINvC1a1fTjjE", 8
    for _ = 1, 60 do
      local reference = "B" .. digits(before - 1, 62) .. "_"
      before = #rust - 2
      rust = rust .. "T" .. reference .. reference .. "E"
    end
    rust = rust .. "E"
    local deep = "_Z" .. ("P"):rep(5000) .. "i"
    local many = "_RNvC" .. ("1a"):rep(20000)
    for _, name in ipairs({ doubled, rust, deep, many, "_Z1f" .. ("I"):rep(3000) }) do assert.equal(name, named(name).name) end
  end)
end)
