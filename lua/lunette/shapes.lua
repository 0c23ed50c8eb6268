-- SPDX-License-Identifier: MIT
--- The tables that the API takes, and what the words in its signatures stand for: part of the list in api.lua, from which help,
-- stubs and reference are made. A shape is { name, help, { field, type, help }, … }; all of its fields may be left out.

local shapes = {}

shapes.list = {
  { "listener", "what lunette.on attaches; a function is one with before alone",
    { "before", "function(call, …)", "hears the params, before the call" },
    { "after", "function(call, …)", "hears the results, when it has returned" },
    { "abort", "function(call, err)", "hears how it ended, when it has not returned" } },
  { "where", "which functions, as a table: all conditions have to hold",
    { "name", "pattern", "a pattern or a list of them" },
    { "module", "string", "a glob of the module's name" },
    { "file", "pattern", "of the source file, by debug information" },
    { "import", "boolean | pattern", "whether it is imported, or as what: \"module.name\"" },
    { "export", "boolean | pattern", "whether it is exported, or under which name" },
    { "host", "boolean", "whether it is a host function" },
    { "index", "range", "its index in the module, or {first, last}" },
    { "caller", "pattern", "asked of each call: who calls" },
    { "under", "pattern", "asked of each call: who is further out on the stack" },
    { "depth", "range", "asked of each call: its depth, or {least, most}" },
    { "when", "predicate", "asked of each call: lunette.arg(1):gt(1024)" },
    { "sample", "integer", "one of so many calls, by chance" },
    { "seed", "integer", "of that chance: the same seed, the same calls" },
    { "min_time", "string | integer", "calls that took so long at least: \"1ms\", or ns; no before is heard" } },
  { "attach_options", "of lunette.on and lunette.factory",
    { "name", "string", "as errors show it; default: the script's" },
    { "on_error", "\"report\" | \"stop\" | function", "what an error in the listener does: mutes it, ends the run, or calls" },
    { "params", "boolean", "keeps the params for after and abort" },
    { "time", "boolean", "call.time, call.elapsed and call.self_time" },
    { "reentrant", "boolean", "hears the calls that its own callbacks make, too" } },
  { "factory_options", "of lunette.factory: those of attach_options, and",
    { "where", "where", "of which functions it is asked at all" } },
  { "watch_options", "of lunette.on_grow and lunette.on_instance",
    { "on_error", "\"report\" | \"stop\" | function", "as with lunette.on" },
    { "reentrant", "boolean", "hears what its own callback makes happen, too" } },
  { "aggregation_options", "of lunette.count and its like",
    { "by", "key | list of keys",
      "\"name\", \"caller\", \"module\", \"instance\", \"file\", \"stack\", lunette.arg(n), lunette.result(n)" },
    { "value", "reading", "what is summed or sorted into buckets: lunette.arg(n), lunette.elapsed, …" },
    { "when", "predicate", "which calls" },
    { "quiet", "boolean", "is not printed at the end" },
    { "name", "string", "its title" },
    { "budget", "integer | string", "bytes for keys, stacks and buckets: 65536, \"64K\"; default \"16M\"" },
    { "q", "number | list of numbers", "of quantile and latency: which quantiles, from 0 to 1" },
    { "from", "number", "of lhist: where its steps begin; default 0" },
    { "to", "number", "of lhist: where they end" },
    { "step", "number", "of lhist: how wide they are" } },
  { "balance_options", "of lunette.balance",
    { "key", "key | list of keys", "of both sides" },
    { "open", "key | list of keys", "of the opening side" },
    { "close", "key | list of keys", "of the closing side" },
    { "when", "predicate", "which calls" },
    { "quiet", "boolean", "is not printed at the end" },
    { "name", "string", "its title" },
    { "budget", "integer | string", "bytes for keys" } },
  { "print_options", "of aggregation:print and aggregation:text",
    { "top", "integer", "the first so many rows" },
    { "sort", "string",
      "by \"calls\", \"sum\", \"min\", \"max\", \"avg\", \"stddev\", \"open\", \"key\", or a quantile, as \"p99\"" },
    { "format", "\"text\" | \"json\" | \"csv\" | \"openmetrics\" | \"folded\" | \"speedscope\" | \"pprof\"",
      "the last three are of stacks" } },
  { "limits", "of lunette.session and lunette.instantiate",
    { "max_module", "integer", "bytes of a module" },
    { "max_types", "integer", "types" },
    { "max_functions", "integer", "functions" },
    { "max_locals", "integer", "locals of a function" },
    { "max_body", "integer", "bytes of a function" },
    { "max_nesting", "integer", "blocks inside one another" },
    { "max_memory", "integer", "bytes of a memory" },
    { "max_table", "integer", "elements of a table" },
    { "max_exceptions", "integer", "bytes of exceptions that are alive" },
    { "max_depth", "integer", "calls inside one another" },
    { "fuel", "integer", "instructions" } },
}

--- The fields of the shapes of these names.
function shapes.names(...)
  local names, wanted = {}, {}
  for _, name in ipairs({ ... }) do wanted[name] = true end
  for _, shape in ipairs(shapes.list) do
    for i = 3, wanted[shape[1]] and #shape or 0 do names[#names + 1] = shape[i][1] end
  end
  return names
end

--- Words of signatures → types of the Lua language server, in which a name that stands in the list is lunette.NAME. The
-- argument or field of one row goes by "row word".
shapes.words = {
  addr = "integer", len = "integer", max = "integer", from = "integer", n = "integer", i = "integer", id = "integer",
  ms = "integer", ns = "number", index = "integer", position = "integer", slot = "integer", code_offset = "integer",
  left = "integer", status = "integer", min = "integer", mask = "integer", low = "number", high = "number", float = "number",
  text = "string", name = "string", file = "string", bytes = "string", code = "string", message = "string", path = "string",
  module_name = "string", pattern = "string", list = "any[]", value = "any", v = "any", param = "any", condition = "any",
  names = "string", types = "string", strings = "string", numbers = "number", values = "any", luv = "table",
  failures = "integer", f = "function", callback = "function", reading = "lunette.reading",
  key = "string | lunette.reading", keys = "(string | lunette.reading)",
  other = "lunette.aggregation", range = "integer | integer[]", patterns = "string | string[]",
  where = "string | string[] | lunette.where | fun(definition: lunette.definition): any",
  listener = "fun(call: lunette.call, ...: any) | lunette.listener | lunette.aggregation",
  factory = "fun(definition: lunette.definition): any", frames = "table[]", options = "table",
  ["lunette.on options"] = "lunette.attach_options", ["lunette.factory options"] = "lunette.factory_options",
  ["lunette.on_grow options"] = "lunette.watch_options", ["lunette.on_instance options"] = "lunette.watch_options",
  ["lunette.balance open"] = "string | string[] | lunette.where",
  ["lunette.balance close"] = "string | string[] | lunette.where",
  ["where pattern"] = "string | string[]",
  ["lunette.out"] = "lunette.out", ["lunette.where"] = "string | string[]",
  ["instance.exports"] = "table<string, lunette.function | lunette.memory | lunette.table | lunette.global | lunette.tag>",
  ["instance.memories"] = "table<integer, lunette.memory>", ["definition.param_names"] = "table<integer, string>",
}

--- Options in braces that are a shape's: by row, or by what kind of thing it gives.
shapes.options = {
  ["lunette.balance"] = "balance_options", ["aggregation:print"] = "print_options", ["aggregation:text"] = "print_options",
  aggregation = "aggregation_options",
}

return shapes
