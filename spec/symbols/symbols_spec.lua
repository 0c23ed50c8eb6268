-- SPDX-License-Identifier: MIT
-- Source lines and inlined frames are those that LLVM's symbolizer finds: in the corpus' programs, where its answers are on
-- record, and at every byte of small guests that are compiled here.

local corpus = require("spec.support.corpus")
local files = require("spec.support.files")
local guest = require("spec.support.guest")
local native = require("spec.support.native")
local command = require("spec.support.command")

after_each(guest.close_all)

local function line(name, file, number, column)
  return ("%s %s:%d:%d"):format(name or "", file or "", number or 0, column or 0)
end

-- What is found at a code offset, innermost first.
local function found(module, offset)
  local lines = {}
  for i, frame in ipairs(module:places(offset)) do lines[i] = line(frame.name, frame.file, frame.line, frame.column) end
  return table.concat(lines, "\n")
end

-- For very many.
local function same(wanted, got, where)
  if wanted ~= got then error(("at %s: expected %s\ngot %s"):format(where, wanted, got), 0) end
end

local function recorded(frames)
  local lines = {}
  for i, frame in ipairs(frames) do lines[i] = line(frame["function"], frame.file, frame.line, frame.column) end
  return table.concat(lines, "\n")
end

-- As the record has a name of Rust's old mangling, it is not decoded to the end.
local signs = { SP = "@", BP = "*", RF = "&", LT = "<", GT = ">", LP = "(", RP = ")", C = "," }
local function demangled(name)
  local path, hashes = name:gsub(" %(%.llvm%.%d+%)$", ""):gsub("::h%x%x%x%x%x%x%x%x%x%x%x%x%x%x%x%x$", "")
  if hashes == 0 then return name end
  path = ("::" .. path):gsub("::_%$", "::$"):sub(3)
  path = path:gsub("%$u(%x%x)%$", function(code) return string.char(tonumber(code, 16)) end)
  return (path:gsub("%$(%u+)%$", signs):gsub("%.%.", "::"))
end

describe("the corpus' programs", function()
  local root = corpus.folder("programs")
  if not root then
    it("are where their record says", function() pending(corpus.absent) end)
    return
  end

  local function same_row(module, row)
    same(recorded(row.frames), found(module, row.code_offset), row.code_offset)
    local definition = module:function_at(row.code_offset)
    same(row.func, definition.index, row.code_offset)
    same(row.name, definition.raw_name, row.code_offset)
    if row.demangled then same(demangled(row.demangled), definition.name, row.code_offset) end
  end

  for _, name in ipairs(files.list(root)) do
    local folder = root .. "/" .. name
    if files.exists(folder .. "/lines.json") then
      it(name .. " has every line, inlined frame and name on record", function()
        local record = corpus.json(folder .. "/lines.json")
        local module = guest.session().module({ file = ("%s/%s.wasm"):format(folder, name) })
        assert.equal(record.code_section_start, module.code_start)
        for _, row in ipairs(record.rows) do same_row(module, row) end
        assert.is_true(#record.rows > 700)
      end)
    end
    if files.exists(folder .. "/stacks") and files.exists(folder .. "/lines.json") then
      it(name .. " has every source frame of its stacks", function()
        local module = guest.session().module({ file = ("%s/%s.wasm"):format(folder, name) })
        for _, stack in ipairs(files.list(folder .. "/stacks")) do
          for _, frame in ipairs(corpus.json(folder .. "/stacks/" .. stack).frames) do
            if frame.source then same(recorded(frame.source), found(module, frame.file_offset - module.code_start), stack) end
          end
        end
      end)
    end
  end
end)

local c_text = [[
struct node { struct node *next; int value; };
static inline int square(int x) {
  int y = x * x;
  return y + 1;
}
static inline int deep(int a) {
  int s = 0;
  for (int i = 0; i < a; i++)
    s += square(i) ^ a;
  return s;
}
int work(struct node *list, int k) {
  int total = 0;
  while (list) {
    total += deep(list->value + k);
    list = list->next;
  }
  return total;
}
int unused_by_all(int a) { return square(a); }
]]

local cpp_text = [[
namespace geo {
struct Shape {
  virtual double area() const { return 0; }
  double twice() const { return area() * 2; }
};
template <typename T> inline T clamp(T value, T low) { return value < low ? low : value; }
struct Box : Shape {
  double w, h;
  double area() const override { return clamp(w, 0.5) * clamp(h, 0.5); }
};
}
geo::Box box;
double area_of(double w, double h) {
  box.w = w;
  box.h = h;
  const geo::Shape &shape = box;
  return shape.twice() + geo::clamp(w, h);
}
]]

-- What llvm-symbolizer says about each byte of the functions' bodies.
local function judged(path, offsets)
  local args = { "--obj=" .. path, "--functions=short", "--output-style=JSON" }
  local result = command.run("llvm-symbolizer-14", table.move(offsets, 1, #offsets, #args + 1, args))
  assert(result.status == 0, result.stderr)
  return require("dkjson").decode(result.stdout)
end

local function same_everywhere(bytes, path)
  local module = guest.session().module(bytes)
  local offsets = {}
  for _, definition in ipairs(module:functions()) do
    for at = definition.offset, definition.offset + definition.size - 1 do offsets[#offsets + 1] = ("0x%x"):format(at) end
  end
  local inlined, lines = 0, 0
  for _, answer in ipairs(judged(path, offsets)) do
    local offset, wanted = tonumber(answer.Address), {}
    for i, frame in ipairs(answer.Symbol) do
      wanted[i] = line(frame.FunctionName, frame.FileName, frame.Line, frame.Column)
      if frame.FunctionName == "" and frame.FileName == "" then wanted[i] = nil end
    end
    same(table.concat(wanted, "\n"), found(module, offset), answer.Address)
    inlined = inlined + (#wanted > 1 and 1 or 0)
    lines = lines + #wanted
    local own = answer.Symbol[#answer.Symbol]
    if #wanted > 0 then same(own.StartLine, module:function_at(offset).line or 0, answer.Address) end
  end
  return inlined, lines
end

describe("debug information", function()
  if not (native.find("clang-14") and native.find("llvm-symbolizer-14")) then
    it("is read as LLVM reads it", function() pending("clang-14 and llvm-symbolizer-14 are not here") end)
    return
  end
  for _, language in ipairs({ "c", "cpp" }) do
    for _, level in ipairs({ "-O0", "-O2" }) do
      for _, version in ipairs({ "-gdwarf-2", "-gdwarf-3", "-gdwarf-4", "-gdwarf-5" }) do
        it(("of %s by clang %s %s is read as LLVM reads it, at each byte"):format(language, level, version), function()
          local folder <close> = files.temporary()
          local text = language == "c" and c_text or cpp_text
          local options = { language = language, flags = { level, version } }
          local inlined, lines = same_everywhere(native.compile(folder.path, text, options))
          assert.is_true(lines > 100)
          assert.equal(level == "-O2", inlined > 10)
        end)
      end
    end
  end

  it("names files and lines of definitions and frames", function()
    local folder <close> = files.temporary()
    local bytes = native.compile(folder.path, c_text, { flags = { "-O2", "-gdwarf-5" } })
    local module = guest.session().module(bytes)
    local work = module:functions("work")[1]
    assert.equal(folder .. "/guest.c", work.file)
    assert.equal(12, work.line)
    assert.same({ "work", "unused_by_all" },
      { module:functions("file:*/guest.c")[1].name, module:functions("file:*.c")[2].name })
    assert.same({}, module:functions("file:*.rs"))
    assert.equal(2, #module:functions({ "file:*guest.c", "!nothing" }))
  end)

  -- In run(3, 2) sum comes to 41, wide is 41 * 123, and in twice doubled is 123 + 41.
  local locals_text = [[
__attribute__((noinline)) int leaf(int n) { __asm__ volatile("" ::: "memory"); return n * 3; }
static inline int twice(int q) { int doubled = leaf(q) + q; return doubled * leaf(doubled); }
int run(int count, double scale) {
  int sum = 0;
  for (int i = 0; i < count; i++) {
    int step = leaf(i);
    sum += step * (int)scale;
    if (step & 1) { int odd = leaf(step + sum); sum ^= odd; }
  }
  long long wide = (long long)sum * leaf(sum);
  return twice(sum) + (int)(wide >> 7) + leaf((int)wide);
}
]]

  -- Which variables the locals of run hold when it calls, as "name=value" in order.
  local function locals_seen(flags)
    local folder <close> = files.temporary()
    local session = guest.session()
    local instance = session.instantiate(session.module(native.compile(folder.path, locals_text, { flags = flags })))
    local seen, known = {}, {}
    session.on("leaf", function(call)
      for _, own in ipairs(call:stack()[2]:locals()) do
        local text = own.name and ("%s=%s"):format(own.name, own.value)
        if text and not known[text] then known[text], seen[#seen + 1] = true, text end
      end
    end)
    instance:invoke("run", 3, 2)
    return seen, instance:functions("run")[1].definition.param_names
  end

  for _, version in ipairs({ "-gdwarf-2", "-gdwarf-3", "-gdwarf-4", "-gdwarf-5" }) do
    it("names locals by the variables that they hold at the time, inlined ones too: clang -O2 " .. version, function()
      local seen, params = locals_seen({ "-O2", version })
      assert.same({ "doubled=164", "wide=5043" }, seen)
      assert.same({ "count", "scale" }, params)
    end)
  end

  it("names no local where all variables are in memory, but params", function()
    local seen, params = locals_seen({ "-O0" })
    assert.same({}, seen)
    assert.same({ "count", "scale" }, params)
  end)

  it("is not missed where there is none", function()
    local module = guest.session().module(require("spec.support.wat")("(module (func $f (param i32)))"))
    local f = module:functions()[1]
    assert.same({ {}, "f", 0 }, { module:places(f.offset), f.name, #f.param_names })
    assert.is_nil(f.file)
    assert.is_nil(f.line)
    assert.same({}, module:places(-1))
    assert.same({}, module:places(1 << 40))
    assert.is_nil(module:function_at(1 << 40))
    assert.is_nil(module:function_at(-1))
  end)
end)
