-- SPDX-License-Identifier: MIT
--- The API, once: name, signature, one line of help. From here come `lunette help NAME`, the prompt's help and completion, the
-- stubs for the Lua language server (library/lunette.d.lua) and docs/reference.md; specs compare it with the live module.
-- The tables that it takes stand in shapes.lua.
--
-- A row is { name, signature, help }. "lunette.x" is a field of the module, "class.x" a field and "class:x" a method of an
-- object of that class.

local shapes = require("lunette.shapes")

local api = {}

api.rows = {
  -- engine
  { "lunette.module", "(bytes | {file=path} | {bytes=, name=}) -> module", "decodes and validates a module" },
  { "lunette.instantiate", "(module [, {imports=, wasi=, stub_imports=, name=, limits=}]) -> instance",
    "makes an instance; imports={host, …, name=host|instance|{…}}; "
      .. "wasi={args=,env=,inherit_env=,dirs=,stdin=,stdout=,stderr=,sockets=,listen=,deterministic=}; "
      .. "stub_imports=true: functions that nobody has trap when called" },
  { "lunette.host", "(module_name, {name={params={…}, results={…}, function(call, …) … end}, …}) -> host",
    "host functions, memories, tables, globals and tags for import; in a script they are offered to the guest" },
  { "lunette.memory", "({min=, max=, address=}) -> memory",
    "a memory of its own, in pages of 64 KiB, for lunette.host; address: \"i32\" or \"i64\"" },
  { "lunette.table", "({type=, min=, max=, address=}) -> table",
    "a table of its own, for lunette.host; address: \"i32\" or \"i64\"" },
  { "lunette.global", "({type=, value=, mutable=}) -> global", "a global of its own, for lunette.host" },
  { "lunette.tag", "({params={…}}) -> tag", "a tag of its own for exceptions that carry such values, for lunette.host" },
  { "lunette.session",
    "([{output=, stack=, max_memory=, limits=, message=, strict=, unsafe=, sandbox=, script_time=, script_memory=}])"
      .. " -> lunette",
    "a further session: a store, an output and this API of its own; unsafe=true: its listeners may change the guest; "
      .. "script_time=\"50ms\": what one callback may take, "
      .. "script_memory=\"8M\": what the callbacks may make of Lua's memory grow by; "
      .. "sandbox=true: what lunette.load loads reaches no files, no processes and no C" },
  { "lunette.fuel", "([left]) -> left", "how many instructions are left to guests made with limits={fuel=N}; sets it" },
  { "lunette.close", "()", "frees the session with all that it holds" },
  { "lunette.version", "string", "the version of lunette" },
  -- listening
  { "lunette.on", "(where, listener [, options]) -> attachment",
    "listens to functions; a listener is {before=, after=, abort=}, a function, which is before, or an aggregation; "
      .. "a where: a pattern, a list, a function of the definition, {name=, module=, file=, import=, export=, host=, "
      .. "index={10, 20}} and, asked of each call in C, {caller=, under=, depth={1, 5}, when=predicate, sample=100, seed=, "
      .. "min_time=\"1ms\"}; "
      .. "options: name= on_error=\"report\"|\"stop\"|f params=true reentrant=true time=true" },
  { "lunette.factory", "(function(definition) … return listener or nil end [, options]) -> attachment",
    "asks once for each function which listener it gets; options: where= and those of lunette.on" },
  { "lunette.multi", "(factory, …) -> factory", "several factories as one" },
  { "lunette.intercept",
    "(where, function(call, …) return call:proceed(…) end | {params=f, results=f} [, options]) -> attachment",
    "changes calls, before any listener hears of them (needs --unsafe): a function answers in place of the callee, "
      .. "params(call, params…) and results(call, results…) return others, or nothing; options: name= "
      .. "on_error=\"report\"|\"stop\"|f reentrant=true" },
  { "lunette.on_change", "(global | {address, size [, memory=]}, function(call, old, new) … end [, options]) -> attachment",
    "compares, in C, at the entries and exits of calls, what is there with what was there at the last one; of memory (of the "
      .. "first instance, if none is named) strings; options: where= (default: all calls) name= on_error= params= reentrant=" },
  { "lunette.on_grow", "(function(event) … end [, options]) -> watch",
    "hears memory.grow and table.grow; options: on_error=\"report\"|\"stop\"|f reentrant=true" },
  { "lunette.on_instance", "(function(event) … end [, options]) -> watch",
    "hears of instances that are made and closed: event.kind is \"instance\" or \"close\"" },
  { "lunette.pairing", "([{where=, walk=, goes_on=}]) -> pairing",
    "checks while the guest runs that every before ends in one after or abort, in order; a violation ends the run" },
  { "lunette.where", "string | list", "what -w gave, else \"*\": the default where of scripts" },
  { "lunette.stack", "(frames) -> stack", "a stack of the frames of a list, to test a listener without a guest" },
  { "lunette.stack_of", "(id) -> stack", "the stack that call:stack_id() gave this number" },
  { "lunette.bench", "(n, frames, listener) -> ns",
    "calls before and after n times; the mean time of a round, of an aggregation what it adds to a call" },
  -- tests
  { "lunette.expect", "(condition [, message]) -> condition",
    "where the condition does not hold, as lunette.fail" },
  { "lunette.fail", "([message])",
    "tells the message with its place and ends the run with kind exit, status 104; in a program, outside of a run, raises it" },
  { "lunette.failures", "list of strings", "what lunette.fail and lunette.expect have told" },
  { "lunette.fake", "({module=, functions={…}, memory={…}, frames={…}, session={…}}) -> fake",
    "a guest made of declarations, to test scripts with; a function: a name or {name=, params=, results=, param_names=, "
      .. "export=}, of the host {name=, host=\"env\", call=f}; memory: a string or {[address]=string, pages=, max=}; "
      .. "frames: the calls under which it is called, top first; session: options of lunette.session" },
  { "fake:call", "(name, param, …) | ({name, param, …, calls={…}, writes={[address]=string}, returns=, traps=}) -> err | nil",
    "calls a function, which does what is said; of a host function: writes= returns= raises= exits=" },
  { "fake:load", "(file | name [, options]) -> script", "loads a script into the fake's session, as -s does" },
  { "fake:eval", "(code [, options]) -> script", "loads Lua text, as -e does" },
  { "fake:finish", "() -> failures", "the guest's end: at_exit, and what was counted is printed" },
  { "fake:close", "()", "frees it" },
  { "fake.lunette", "lunette", "its session's API" },
  { "fake.instance", "instance", "its guest; made at the first call, after the scripts that were loaded before" },
  { "fake.memory", "memory", "its guest's memory, to be read and written by the test" },
  { "fake.output", "string", "what was written to the trace output so far" },
  { "fake.messages", "list of strings", "what was told besides: errors of listeners, wheres that match nothing" },
  { "fake.failures", "list of strings", "as lunette.failures" },
  -- scripts
  { "lunette.load", "(file | name [, options]) -> script",
    "loads a script, also while the guest runs; what it puts to work is its own; options={name=value}" },
  { "lunette.unload", "(script | name)",
    "runs what the script gave to at_exit and takes away its listeners, timers and outputs, at once and silently" },
  { "lunette.reload", "(script | name) -> script",
    "runs the script's present text in its place; where that fails the old one stays at work" },
  { "lunette.scripts", "list of scripts", "those that are loaded, in order" },
  { "lunette.state", "table", "a place of the script's own, empty at first, that survives a reload" },
  { "script.name", "string", "as given to -s or lunette.load; \"-e\" for code" },
  { "script.path", "string | nil", "its file" },
  { "script.loaded", "boolean", "false once it has been unloaded" },
  { "script:unload", "()", "as lunette.unload" },
  { "script:reload", "() -> script", "as lunette.reload" },
  -- counting in C
  { "lunette.count", "([{by=, when=, quiet=, name=, budget=}]) -> aggregation",
    "counts calls in C; by: \"name\" (default), \"caller\", \"module\", \"instance\", \"file\", \"stack\", lunette.arg(n), "
      .. "lunette.result(n), a list of these, {} for one row; when: a predicate; budget: bytes for keys" },
  { "lunette.sum", "({value=, by=, when=, …}) -> aggregation", "the sum of a value: lunette.arg(n), lunette.result(n), …" },
  { "lunette.min", "({value=, by=, when=, …}) -> aggregation", "the smallest value" },
  { "lunette.max", "({value=, by=, when=, …}) -> aggregation", "the largest value" },
  { "lunette.avg", "({value=, by=, when=, …}) -> aggregation", "the mean of a value" },
  { "lunette.stats", "({value=, by=, when=, …}) -> aggregation", "calls, sum, min, mean, max, standard deviation" },
  { "lunette.hist", "({value=, by=, when=, …}) -> aggregation", "a histogram of a value by powers of two" },
  { "lunette.lhist", "({value=, from=, to=, step=, by=, when=, …}) -> aggregation", "a histogram by equal steps" },
  { "lunette.quantile", "({value=, q={0.5, 0.9, 0.99}, by=, when=, …}) -> aggregation",
    "quantiles of a value, off by at most 1 %" },
  { "lunette.latency", "([{value=lunette.elapsed, q=, by=, when=, …}]) -> aggregation",
    "how long calls take: quantiles, and the total, in which a call inside of one under the same key is not counted again" },
  { "lunette.stacks", "([{value=, by=, when=, …}]) -> aggregation",
    "calls by stack, or with value= (say lunette.self_time) its sum; for flame graphs: print{format=\"folded\"}, "
      .. "\"speedscope\", \"pprof\"" },
  { "lunette.balance", "(open, close, {key= | open=, close=, when=, …}) -> aggregation",
    "what two wheres open and close: attached at once; the keys that are not even" },
  { "lunette.arg", "(n | name) -> reading", "the n-th argument of a call, for by=, value= and predicates" },
  { "lunette.result", "(n) -> reading", "the n-th result" },
  { "lunette.elapsed", "reading", "how long the call took, in ns" },
  { "lunette.self_time", "reading", "the same less the calls in it that the aggregation hears" },
  { "lunette.stack_depth", "reading", "the frames below the call" },
  { "lunette.memory_size", "reading", "the bytes of memory 0" },
  { "lunette.caller", "reading", "the caller's name; \"(host)\" where there is none" },
  { "reading:gt", "(number) -> predicate", "greater; so ge, lt, le, eq, ne; predicates combine by & | ~" },
  { "reading:ge", "(number) -> predicate", "greater or equal" },
  { "reading:lt", "(number) -> predicate", "less" },
  { "reading:le", "(number) -> predicate", "less or equal" },
  { "reading:eq", "(number | text) -> predicate", "equal" },
  { "reading:ne", "(number | text) -> predicate", "not equal" },
  { "reading:between", "(low, high) -> predicate", "from low to high, both included" },
  { "reading:has", "(mask) -> predicate", "all bits of the mask are set" },
  { "reading:glob", "(pattern) -> predicate", "a name fits: lunette.caller:glob(\"test_*\")" },
  { "reading:u", "() -> reading", "the same value, unsigned" },
  -- aggregation
  { "aggregation.kind", "string", "\"count\", …" },
  { "aggregation.rows", "integer", "how many keys it has" },
  { "aggregation.left_out", "integer", "calls that were left out, for want of budget" },
  { "aggregation.bytes", "integer", "of its budget, in use" },
  { "aggregation.budget", "integer", "bytes for keys and buckets" },
  { "aggregation:print",
    "([{top=, sort=, format=\"text\"|\"json\"|\"csv\"|\"openmetrics\"|\"folded\"|\"speedscope\"|\"pprof\"}])",
    "writes it to lunette.out; what nobody has printed is printed at the end, unless quiet=true" },
  { "aggregation:text", "([{top=, sort=, format=}]) -> string", "what print writes" },
  { "aggregation:table", "() -> {{key=, keys=, calls=, sum=, …}, …, left_out=}", "its rows, the largest first" },
  { "aggregation:reset", "()", "forgets what it has counted, and goes on" },
  { "aggregation:merge", "(other) -> aggregation", "adds what another of the same kind has counted" },
  -- life cycle
  { "lunette.guest", "instance | nil", "the instance of the command's module, once it is made" },
  { "lunette.instances", "list of instances", "all instances made so far" },
  { "lunette.at_exit", "(f)", "calls f when the guest has ended (in a program: when the session is closed)" },
  { "lunette.pause", "()",
    "the guest stands still and the prompt asks; at the next call where none is at hand (the command only)" },
  { "lunette.every", "(ms, f) -> timer",
    "calls f(timer) every ms milliseconds, while the guest runs or waits, until timer:stop()" },
  { "lunette.delay", "(ms, f) -> timer", "calls f(timer) once, in ms milliseconds" },
  { "lunette.uv", "luv", "luv on lunette's own loop: its callbacks run while the guest runs or waits (needs lua-luv)" },
  { "lunette.linger", "(ms)", "timers and handles may go on for so long after the guest's end; else they are closed" },
  { "lunette.stop", "([status])", "ends the run with kind exit at the next safepoint or when the callback returns" },
  { "lunette.options", "({name={default=, help=, choices=, several=, min=}, …}) -> {name=value}",
    "declares a script's options and gives their values; choices={words}, several=true: a set of them" },
  -- output
  { "lunette.out", "{write, printf}", "the trace output: lunette.out:write(text, …), lunette.out:printf(format, …)" },
  { "lunette.json", "(value) -> string", "JSON text, integers exact (needs dkjson)" },
  { "lunette.hex", "(v) -> string", "a number in hexadecimal, or the bytes of a string" },
  -- module
  { "module.name", "string", "its own name, else the file's" },
  { "module.imports", "list of {module=, name=, kind=, definition=, type=}", "what it imports" },
  { "module.exports", "list of {name=, kind=, definition=, type=}", "what it exports" },
  { "module.code_start", "integer", "where the code section's contents start in the module's bytes" },
  { "module:places", "(code_offset) -> list of {name=, linkage_name=, file=, line=, column=, inlined=}",
    "the source frames of an instruction, innermost first, by debug information" },
  { "module:function_at", "(code_offset) -> definition | nil", "the function whose body an offset is in" },
  { "module:functions", "([where]) -> list of definitions", "its functions, imported ones first" },
  -- instance
  { "instance.name", "string", "as stacks show it" },
  { "instance.module", "module", "what it was made from" },
  { "instance.exports", "{name=function|memory|table|global|tag}", "what it exports, by name" },
  { "instance.memory", "memory | nil", "memory 0" },
  { "instance.memories", "{[0]=memory, …}", "all memories, by index" },
  { "instance.closed", "boolean", "whether it was closed" },
  { "instance:invoke", "(name, …) -> results", "calls an exported function; raises an err" },
  { "instance:global", "(name | index) -> global", "an exported global, or one by its index" },
  { "instance:table", "(name | index) -> table", "an exported table, or one by its index" },
  { "instance:functions", "([where]) -> list of functions", "its functions, imported ones first" },
  { "instance:close", "()", "refuses new calls and frees its memory" },
  -- function
  { "function.name", "string", "its definition's name" },
  { "function.definition", "definition", "what its module says of it" },
  { "function.instance", "instance | nil", "what it is bound to" },
  { "function:invoke", "(…) -> results", "calls it; raises an err" },
  { "function:invoke_bits", "(slot, …) -> slots", "calls it with raw 64-bit slots, and gives such" },
  -- memory
  { "memory:u8", "(addr) -> integer", "the byte at an address; addresses count modulo 2^32 where they are i32" },
  { "memory:s8", "(addr) -> integer", "the byte, signed" },
  { "memory:u16", "(addr) -> integer", "16 bits, unsigned, little-endian" },
  { "memory:s16", "(addr) -> integer", "16 bits, signed" },
  { "memory:u32", "(addr) -> integer", "32 bits, unsigned" },
  { "memory:i32", "(addr) -> integer", "32 bits, signed" },
  { "memory:i64", "(addr) -> integer", "64 bits, signed" },
  { "memory:f32", "(addr) -> float", "a 32-bit float" },
  { "memory:f64", "(addr) -> float", "a 64-bit float" },
  { "memory:string", "(addr, len) -> string", "len bytes" },
  { "memory:cstring", "(addr [, max]) -> string", "the bytes up to the first NUL, or max of them" },
  { "memory:bytes", "(addr, len) -> list", "the values of len bytes" },
  { "memory:hexdump", "(addr, len) -> string", "as hexdump -C prints them" },
  { "memory:find", "(string [, from]) -> addr | nil", "where the bytes stand first" },
  { "memory:size", "() -> integer", "in bytes" },
  { "memory.address", "string", "\"i32\" or \"i64\": the type of its addresses" },
  { "memory:write", "(addr, string)", "for host functions and programs; for listeners with --unsafe" },
  -- global, table
  { "global.value", "value", "what it holds; can be set where memory can be written" },
  { "global.type", "string", "its type's name" },
  { "global.mutable", "boolean", "whether it can be set" },
  { "table.size", "integer", "how many elements; t[i] counts from 0" },
  { "table.address", "string", "\"i32\" or \"i64\": the type of its indexes" },
  { "table.type", "string", "\"funcref\" or \"externref\"" },
  { "host.name", "string", "the module's name that it stands for" },
  -- attachment
  { "attachment.name", "string | nil", "the name option, else the script's name" },
  { "attachment.functions", "integer", "to how many functions it listens" },
  { "attachment.calls", "integer", "how many calls it has heard" },
  { "attachment.errors", "integer", "how often its listeners failed" },
  { "attachment.muted", "integer", "how many of its listeners are muted for that" },
  { "attachment.detached", "boolean", "whether it has been detached" },
  { "attachment:detach", "([{drop=true}])", "at once for new calls; with drop, open calls get neither after nor abort" },
  { "attachment:pause", "()", "hears no new calls" },
  { "attachment:resume", "()", "hears them again" },
  -- watch, event
  { "watch.detached", "boolean", "whether it has been detached" },
  { "watch:detach", "([{drop=true}])", "hears no further events; with drop not the one either that is being told" },
  { "event.kind", "\"grow\" | \"instance\" | \"close\"", "what has happened" },
  { "event.instance", "instance | nil", "the instance; of growth whose code asked for it, nil: the host" },
  { "event.memory", "memory | nil", "what was to grow, if it is a memory" },
  { "event.table", "table | nil", "what was to grow, if it is a table" },
  { "event.old", "integer", "the size before, in pages or elements" },
  { "event.delta", "integer", "by how much it was to grow" },
  { "event.result", "integer | nil", "the old size; nil where it could not grow" },
  { "event:stack", "() -> stack | nil", "the stack at that point, to keep; nil where no guest runs" },
  -- pairing
  { "pairing.befores", "integer", "how many calls began" },
  { "pairing.afters", "integer", "how many returned" },
  { "pairing.aborts", "integer", "how many were aborted" },
  { "pairing.open", "integer", "how many have not ended" },
  { "pairing.deepest", "integer", "the most that were open at a time" },
  { "pairing.walks", "integer", "how many stacks were compared with what is open" },
  { "pairing.violations", "integer", "how often something did not hold" },
  { "pairing.first", "string | nil", "the first violation" },
  { "pairing:check", "()", "between runs: raises where something did not hold or a call is open still" },
  { "pairing:detach", "()", "hears no new calls" },
  -- call
  { "call.id", "integer",
    "unique and increasing; the same in before, after and abort, and for interceptors, but for one that calls the guest before "
      .. "the call goes on: then listeners hear a later one" },
  { "call.depth", "integer", "frames below, from 0 at the outermost entry" },
  { "call.parent_id", "integer | nil", "the nearest enclosing call that this attachment heard, or intercepted" },
  { "call.tail", "definition | nil", "in after: the callee of the tail call that ended it; there are no results then" },
  { "call.tail_of", "integer | nil", "the id of the call whose place it took by a tail call" },
  { "call.name", "string", "the function's name" },
  { "call.definition", "definition", "what is called" },
  { "call.instance", "instance | nil", "the callee's; of a host function the importing one" },
  { "call.caller", "frame | nil", "who called; nil at the outermost entry" },
  { "call.entry", "\"start\" | \"export\" | \"function\" | nil", "how the host entered, if it did" },
  { "call.is_host", "boolean", "whether it is a host function" },
  { "call.data", "value",
    "a place of the listener's own, nil at first, from before to after or abort; not kept between params and results of an "
      .. "interceptor, where a function has locals for it" },
  { "call.time", "integer", "the moment of the event, in ns of a monotonic clock; with time=true" },
  { "call.weight", "integer", "how many calls it stands for: with a where that samples, one in so many" },
  { "call.elapsed", "integer", "in after and abort: ns the call took, less the time spent in listeners; with time=true" },
  { "call.self_time", "integer", "the same less the calls in it that this attachment heard; with time=true" },
  { "call.intercepted", "string | nil",
    "what interceptors have done to it so far: \"params\", \"results\", \"call\", several of them, or \"unchanged\"" },
  { "call.memory", "memory | nil", "memory 0 of call.instance" },
  { "call:param", "(i | name) -> value", "a param; in after and abort with params=true" },
  { "call:uparam", "(i | name) -> value", "the same, an i32 as 0..2^32-1" },
  { "call:params", "() -> values", "all of them" },
  { "call:bits", "(i) -> integer", "the raw bits of a param, in after of a result" },
  { "call:proceed", "(params…) -> results",
    "in lunette.intercept, once: calls the callee, with no params given as they are; raises an err where it fails" },
  { "call:stack", "() -> stack", "the stack, valid inside the callback" },
  { "call:stack_id", "() -> integer | nil", "a number for the stack, the same for the same stack; nil: no room (1 GiB)" },
  { "call:snapshot", "() -> stack", "a copy of the stack, to keep" },
  { "call:keep", "() -> table", "what is known of the call now, to keep" },
  -- timer
  { "timer.active", "boolean", "whether it will call again" },
  { "timer:stop", "()", "no more calls" },
  -- stack, frame
  { "stack.omitted", "integer", "frames left out of a snapshot" },
  { "frame.definition", "definition", "whose frame it is" },
  { "frame.instance", "instance | nil", "of which instance" },
  { "frame.offset", "integer | nil", "of the call instruction, from the start of the code section's contents" },
  { "frame.file_offset", "integer | nil", "the same from the module's first byte" },
  { "frame.file", "string | nil", "the source file of the place in the frame's function, by debug information" },
  { "frame.line", "integer | nil", "the line there" },
  { "frame.column", "integer | nil", "the column there" },
  { "frame.inlined", "list of {name=, linkage_name=, file=, line=, column=, inlined=}",
    "the functions inlined at the place that it is in, innermost first" },
  { "frame.is_host", "boolean", "whether it is a host function's" },
  { "frame.reentry", "boolean", "whether it was called from the host" },
  { "frame.exact", "boolean | nil", "whether its params are those that were passed" },
  { "frame:is_exact", "(i | name) -> boolean | nil", "the same of one: false where the body may have changed it" },
  { "frame:params", "() -> values", "the present values of its params, inside the callback" },
  { "frame:locals", "() -> list of {index=, name=, type=, value=}",
    "the locals that its function declares, params not among them, as they are now, inside the callback; their names are from "
      .. "the name section, else those of the variables that they hold at this place by debug information: what the compiler "
      .. "keeps in memory, as it does with all without optimising, is in no local" },
  -- definition
  { "definition.index", "integer", "in its module; of a host function in the importing one" },
  { "definition.name", "string", "from the name section, an export, an import, or #index; demangled" },
  { "definition.raw_name", "string", "the same as the module has it" },
  { "definition.own_name", "string | nil", "from the name section alone; of a host function as it was given" },
  { "definition.own_module", "string | nil", "the same of its module" },
  { "definition.named_locals", "integer", "how many locals, params among them, the name section names" },
  { "definition.module", "string", "its module's name" },
  { "definition.exports", "list of names", "under which it is exported" },
  { "definition.import", "{module=, name=} | nil", "as what it is imported" },
  { "definition.params", "list of types", "\"i32\", …" },
  { "definition.results", "list of types", "\"i32\", …" },
  { "definition.param_names", "{[i]=name}", "where they have names, in the name section or the debug information" },
  { "definition.is_host", "boolean", "whether it is a host function" },
  { "definition.file", "string | nil", "the source file that it is defined in, by debug information" },
  { "definition.line", "integer | nil", "the line there" },
  { "definition.offset", "integer | nil", "of its body, from the start of the code section's contents" },
  { "definition.size", "integer | nil", "of its body, in bytes" },
  -- err
  -- tag, exception
  { "tag.name", "string", "from the name section, an export, or #index; \"tag\" for one of the host's making" },
  { "tag.params", "list of types", "of the values that its exceptions carry" },
  { "tag:exception", "(values…) -> exception", "a new one; a host function throws it by error(exception)" },
  { "exception.tag", "tag", "which kind of exception it is" },
  { "exception.values", "list of values", "what it carries" },
  { "err.kind", "string", "trap, exception, host, exit, exhausted, timeout, interrupted, listener, malformed, invalid, …" },
  { "err.code", "string | integer | nil", "the trap's name, or the exit status" },
  { "err.message", "string", "one line" },
  { "err.detail", "string | nil", "further lines; of a host function's error, the traceback" },
  { "err.stack", "stack | nil", "the stack at the point of failure" },
  { "err.value", "value", "what a host function raised" },
  { "err.exception", "exception | nil", "with kind exception; error(err) in a host function throws the same again" },
  { "err.tag", "tag | nil", "its tag" },
  { "err.values", "list of values | nil", "what it carries" },
  { "err.caught", "boolean", "in abort: whether a frame further out catches the exception" },
  { "err.offset", "integer | nil", "with malformed and invalid: the byte in the module" },
  { "err.exit_status", "integer", "the command's exit status for it" },
}

local function find(topic)
  for _, row in ipairs(api.rows) do
    if row[1] == topic or row[1] == "lunette." .. topic then return row end
  end
  return nil
end

local function line(row) return ("%s%s%s\n    %s"):format(row[1], row[2]:find("^%(") and "" or ": ", row[2], row[3]) end

local function add_shape(lines, topic)
  for _, shape in ipairs(shapes.list) do
    if shape[1] == topic then
      lines[#lines + 1] = ("%s: %s"):format(shape[1], shape[2])
      for i = 3, #shape do lines[#lines + 1] = ("  %s: %s\n    %s"):format(table.unpack(shape[i])) end
    end
  end
end

--- The help text of a name ("on", "lunette.on", "call:param"), of a class ("call") or of a table ("attach_options"), or nil.
function api.help(topic)
  local row = find(topic)
  local lines = { row and line(row) }
  for _, member in ipairs(api.rows) do
    if not row and member[1]:match("^%w+") == topic then lines[#lines + 1] = line(member) end
  end
  add_shape(lines, topic)
  return #lines > 0 and table.concat(lines, "\n") or nil
end

--- All topics.
function api.names()
  local names, seen = {}, {}
  for _, row in ipairs(api.rows) do
    names[#names + 1] = row[1]
    local class = row[1]:match("^%w+")
    if not seen[class] then names[#names + 1] = class end
    seen[class] = true
    if class == "lunette" then names[#names + 1] = row[1]:match("%.(.*)$") end
  end
  for _, shape in ipairs(shapes.list) do names[#names + 1] = shape[1] end
  return names
end

return api
