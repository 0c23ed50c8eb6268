---@meta lunette
-- Made by ./dev docs from lua/lunette/api.lua: the API, for the Lua language server. Scripts have it as `lunette`,
-- and so has whoever requires it.

---@class lunette.predicate
---@operator band(lunette.predicate): lunette.predicate
---@operator bor(lunette.predicate): lunette.predicate
---@operator bnot: lunette.predicate

---@class lunette.out
local out = {}

---@param ... string | number
function out:write(...) end

---@param format string
---@param ... any
function out:printf(format, ...) end

--- what lunette.on attaches; a function is one with before alone
---@class lunette.listener
---@field before? fun(call: lunette.call, ...: any): any hears the params, before the call
---@field after? fun(call: lunette.call, ...: any): any hears the results, when it has returned
---@field abort? fun(call: lunette.call, err: lunette.err): any hears how it ended, when it has not returned

--- which functions, as a table: all conditions have to hold
---@class lunette.where
---@field name? string | string[] a pattern or a list of them
---@field module? string a glob of the module's name
---@field file? string | string[] of the source file, by debug information
---@field import? boolean | string | string[] whether it is imported, or as what: "module.name"
---@field export? boolean | string | string[] whether it is exported, or under which name
---@field host? boolean whether it is a host function
---@field index? integer | integer[] its index in the module, or {first, last}
---@field caller? string | string[] asked of each call: who calls
---@field under? string | string[] asked of each call: who is further out on the stack
---@field depth? integer | integer[] asked of each call: its depth, or {least, most}
---@field when? lunette.predicate asked of each call: lunette.arg(1):gt(1024)
---@field sample? integer one of so many calls, by chance
---@field seed? integer of that chance: the same seed, the same calls
---@field min_time? string | integer calls that took so long at least: "1ms", or ns; no before is heard

--- of lunette.on and lunette.factory
---@class lunette.attach_options
---@field name? string as errors show it; default: the script's
---@field on_error? "report" | "stop" | function what an error in the listener does: mutes it, ends the run, or calls
---@field params? boolean keeps the params for after and abort
---@field time? boolean call.time, call.elapsed and call.self_time
---@field reentrant? boolean hears the calls that its own callbacks make, too

--- of lunette.factory: those of attach_options, and
---@class lunette.factory_options: lunette.attach_options
---@field where? string | string[] | lunette.where | fun(definition: lunette.definition): any of which functions it is asked at all

--- of lunette.on_grow and lunette.on_instance
---@class lunette.watch_options
---@field on_error? "report" | "stop" | function as with lunette.on
---@field reentrant? boolean hears what its own callback makes happen, too

--- of lunette.count and its like
---@class lunette.aggregation_options
---@field by? string | lunette.reading | ((string | lunette.reading))[] "name", "caller", "module", "instance", "file", "stack", lunette.arg(n), lunette.result(n)
---@field value? lunette.reading what is summed or sorted into buckets: lunette.arg(n), lunette.elapsed, …
---@field when? lunette.predicate which calls
---@field quiet? boolean is not printed at the end
---@field name? string its title
---@field budget? integer | string bytes for keys, stacks and buckets: 65536, "64K"; default "16M"
---@field q? number | number[] of quantile and latency: which quantiles, from 0 to 1
---@field from? number of lhist: where its steps begin; default 0
---@field to? number of lhist: where they end
---@field step? number of lhist: how wide they are

--- of lunette.balance
---@class lunette.balance_options
---@field key? string | lunette.reading | ((string | lunette.reading))[] of both sides
---@field open? string | lunette.reading | ((string | lunette.reading))[] of the opening side
---@field close? string | lunette.reading | ((string | lunette.reading))[] of the closing side
---@field when? lunette.predicate which calls
---@field quiet? boolean is not printed at the end
---@field name? string its title
---@field budget? integer | string bytes for keys

--- of aggregation:print and aggregation:text
---@class lunette.print_options
---@field top? integer the first so many rows
---@field sort? string by "calls", "sum", "min", "max", "avg", "stddev", "open", "key", or a quantile, as "p99"
---@field format? "text" | "json" | "csv" | "openmetrics" | "folded" | "speedscope" | "pprof" the last three are of stacks

--- of lunette.session and lunette.instantiate
---@class lunette.limits
---@field max_module? integer bytes of a module
---@field max_types? integer types
---@field max_functions? integer functions
---@field max_locals? integer locals of a function
---@field max_body? integer bytes of a function
---@field max_nesting? integer blocks inside one another
---@field max_memory? integer bytes of a memory
---@field max_table? integer elements of a table
---@field max_exceptions? integer bytes of exceptions that are alive
---@field max_depth? integer calls inside one another
---@field fuel? integer instructions

---@class lunette
---@field version string the version of lunette
---@field where string | string[] what -w gave, else "*": the default where of scripts
---@field failures string[] what lunette.fail and lunette.expect have told
---@field scripts lunette.script[] those that are loaded, in order
---@field state table a place of the script's own, empty at first, that survives a reload
---@field elapsed lunette.reading how long the call took, in ns
---@field self_time lunette.reading the same less the calls in it that the aggregation hears
---@field stack_depth lunette.reading the frames below the call
---@field memory_size lunette.reading the bytes of memory 0
---@field caller lunette.reading the caller's name; "(host)" where there is none
---@field guest lunette.instance | nil the instance of the command's module, once it is made
---@field instances lunette.instance[] all instances made so far
---@field uv table luv on lunette's own loop: its callbacks run while the guest runs or waits (needs lua-luv)
---@field out lunette.out the trace output: lunette.out:write(text, …), lunette.out:printf(format, …)
lunette = {}

--- decodes and validates a module
---@param bytes string | { file?: string } | { bytes?: any, name?: any }
---@return lunette.module
function lunette.module(bytes) end

--- makes an instance; imports={host, …, name=host|instance|{…}}; wasi={args=,env=,inherit_env=,dirs=,stdin=,stdout=,stderr=,sockets=,listen=,deterministic=}; stub_imports=true: functions that nobody has trap when called
---@param module lunette.module
---@param options? { imports?: any, wasi?: any, stub_imports?: any, name?: any, limits?: any }
---@return lunette.instance
function lunette.instantiate(module, options) end

--- host functions, memories, tables, globals and tags for import; in a script they are offered to the guest
---@param module_name string
---@param options table
---@return lunette.host
function lunette.host(module_name, options) end

--- a memory of its own, in pages of 64 KiB, for lunette.host; address: "i32" or "i64"
---@param options { min?: any, max?: any, address?: any }
---@return lunette.memory
function lunette.memory(options) end

--- a table of its own, for lunette.host; address: "i32" or "i64"
---@param options { type?: any, min?: any, max?: any, address?: any }
---@return lunette.table
function lunette.table(options) end

--- a global of its own, for lunette.host
---@param options { type?: any, value?: any, mutable?: any }
---@return lunette.global
function lunette.global(options) end

--- a tag of its own for exceptions that carry such values, for lunette.host
---@param options table
---@return lunette.tag
function lunette.tag(options) end

--- a further session: a store, an output and this API of its own; unsafe=true: its listeners may change the guest; script_time="50ms": what one callback may take, script_memory="8M": what the callbacks may make of Lua's memory grow by; sandbox=true: what lunette.load loads reaches no files, no processes and no C
---@param options? { output?: any, stack?: any, max_memory?: any, limits?: any, message?: any, strict?: any, unsafe?: any, sandbox?: any, script_time?: any, script_memory?: any }
---@return lunette
function lunette.session(options) end

--- how many instructions are left to guests made with limits={fuel=N}; sets it
---@param left? integer
---@return integer
function lunette.fuel(left) end

--- frees the session with all that it holds
function lunette.close() end

--- listens to functions; a listener is {before=, after=, abort=}, a function, which is before, or an aggregation; a where: a pattern, a list, a function of the definition, {name=, module=, file=, import=, export=, host=, index={10, 20}} and, asked of each call in C, {caller=, under=, depth={1, 5}, when=predicate, sample=100, seed=, min_time="1ms"}; options: name= on_error="report"|"stop"|f params=true reentrant=true time=true
---@param where string | string[] | lunette.where | fun(definition: lunette.definition): any
---@param listener fun(call: lunette.call, ...: any) | lunette.listener | lunette.aggregation
---@param options? lunette.attach_options
---@return lunette.attachment
function lunette.on(where, listener, options) end

--- asks once for each function which listener it gets; options: where= and those of lunette.on
---@param callback fun(definition: lunette.definition): any
---@param options? lunette.factory_options
---@return lunette.attachment
function lunette.factory(callback, options) end

--- several factories as one
---@param factory fun(definition: lunette.definition): any
---@param ... any
---@return fun(definition: lunette.definition): any
function lunette.multi(factory, ...) end

--- changes calls, before any listener hears of them (needs --unsafe): a function answers in place of the callee, params(call, params…) and results(call, results…) return others, or nothing; options: name= on_error="report"|"stop"|f reentrant=true
---@param where string | string[] | lunette.where | fun(definition: lunette.definition): any
---@param callback fun(call: lunette.call, ...: any): any | { params?: function, results?: function }
---@param options? table
---@return lunette.attachment
function lunette.intercept(where, callback, options) end

--- compares, in C, at the entries and exits of calls, what is there with what was there at the last one; of memory (of the first instance, if none is named) strings; options: where= (default: all calls) name= on_error= params= reentrant=
---@param global lunette.global | table
---@param ... any
---@return lunette.attachment
function lunette.on_change(global, ...) end

--- hears memory.grow and table.grow; options: on_error="report"|"stop"|f reentrant=true
---@param callback fun(event: lunette.event): any
---@param options? lunette.watch_options
---@return lunette.watch
function lunette.on_grow(callback, options) end

--- hears of instances that are made and closed: event.kind is "instance" or "close"
---@param callback fun(event: lunette.event): any
---@param options? lunette.watch_options
---@return lunette.watch
function lunette.on_instance(callback, options) end

--- checks while the guest runs that every before ends in one after or abort, in order; a violation ends the run
---@param options? { where?: any, walk?: any, goes_on?: any }
---@return lunette.pairing
function lunette.pairing(options) end

--- a stack of the frames of a list, to test a listener without a guest
---@param frames table[]
---@return lunette.stack
function lunette.stack(frames) end

--- the stack that call:stack_id() gave this number
---@param id integer
---@return lunette.stack
function lunette.stack_of(id) end

--- calls before and after n times; the mean time of a round, of an aggregation what it adds to a call
---@param n integer
---@param frames table[]
---@param listener fun(call: lunette.call, ...: any) | lunette.listener | lunette.aggregation
---@return number
function lunette.bench(n, frames, listener) end

--- where the condition does not hold, as lunette.fail
---@param condition any
---@param message? string
---@return any
function lunette.expect(condition, message) end

--- tells the message with its place and ends the run with kind exit, status 104; in a program, outside of a run, raises it
---@param message? string
function lunette.fail(message) end

--- a guest made of declarations, to test scripts with; a function: a name or {name=, params=, results=, param_names=, export=}, of the host {name=, host="env", call=f}; memory: a string or {[address]=string, pages=, max=}; frames: the calls under which it is called, top first; session: options of lunette.session
---@param options table
---@return lunette.fake
function lunette.fake(options) end

--- loads a script, also while the guest runs; what it puts to work is its own; options={name=value}
---@param file string
---@param options? table
---@return lunette.script
function lunette.load(file, options) end

--- runs what the script gave to at_exit and takes away its listeners, timers and outputs, at once and silently
---@param script lunette.script | string
function lunette.unload(script) end

--- runs the script's present text in its place; where that fails the old one stays at work
---@param script lunette.script | string
---@return lunette.script
function lunette.reload(script) end

--- counts calls in C; by: "name" (default), "caller", "module", "instance", "file", "stack", lunette.arg(n), lunette.result(n), a list of these, {} for one row; when: a predicate; budget: bytes for keys
---@param options? lunette.aggregation_options
---@return lunette.aggregation
function lunette.count(options) end

--- the sum of a value: lunette.arg(n), lunette.result(n), …
---@param options lunette.aggregation_options
---@return lunette.aggregation
function lunette.sum(options) end

--- the smallest value
---@param options lunette.aggregation_options
---@return lunette.aggregation
function lunette.min(options) end

--- the largest value
---@param options lunette.aggregation_options
---@return lunette.aggregation
function lunette.max(options) end

--- the mean of a value
---@param options lunette.aggregation_options
---@return lunette.aggregation
function lunette.avg(options) end

--- calls, sum, min, mean, max, standard deviation
---@param options lunette.aggregation_options
---@return lunette.aggregation
function lunette.stats(options) end

--- a histogram of a value by powers of two
---@param options lunette.aggregation_options
---@return lunette.aggregation
function lunette.hist(options) end

--- a histogram by equal steps
---@param options lunette.aggregation_options
---@return lunette.aggregation
function lunette.lhist(options) end

--- quantiles of a value, off by at most 1 %
---@param options lunette.aggregation_options
---@return lunette.aggregation
function lunette.quantile(options) end

--- how long calls take: quantiles, and the total, in which a call inside of one under the same key is not counted again
---@param options? lunette.aggregation_options
---@return lunette.aggregation
function lunette.latency(options) end

--- calls by stack, or with value= (say lunette.self_time) its sum; for flame graphs: print{format="folded"}, "speedscope", "pprof"
---@param options? lunette.aggregation_options
---@return lunette.aggregation
function lunette.stacks(options) end

--- what two wheres open and close: attached at once; the keys that are not even
---@param open string | string[] | lunette.where
---@param close string | string[] | lunette.where
---@param options lunette.balance_options
---@return lunette.aggregation
function lunette.balance(open, close, options) end

--- the n-th argument of a call, for by=, value= and predicates
---@param n integer | string
---@return lunette.reading
function lunette.arg(n) end

--- the n-th result
---@param n integer
---@return lunette.reading
function lunette.result(n) end

--- calls f when the guest has ended (in a program: when the session is closed)
---@param f function
function lunette.at_exit(f) end

--- the guest stands still and the prompt asks; at the next call where none is at hand (the command only)
function lunette.pause() end

--- calls f(timer) every ms milliseconds, while the guest runs or waits, until timer:stop()
---@param ms integer
---@param f function
---@return lunette.timer
function lunette.every(ms, f) end

--- calls f(timer) once, in ms milliseconds
---@param ms integer
---@param f function
---@return lunette.timer
function lunette.delay(ms, f) end

--- timers and handles may go on for so long after the guest's end; else they are closed
---@param ms integer
function lunette.linger(ms) end

--- ends the run with kind exit at the next safepoint or when the callback returns
---@param status? integer
function lunette.stop(status) end

--- declares a script's options and gives their values; choices={words}, several=true: a set of them
---@param options table
---@return { name?: any }
function lunette.options(options) end

--- JSON text, integers exact (needs dkjson)
---@param value any
---@return string
function lunette.json(value) end

--- a number in hexadecimal, or the bytes of a string
---@param v any
---@return string
function lunette.hex(v) end

---@class lunette.fake
---@field lunette lunette its session's API
---@field instance lunette.instance its guest; made at the first call, after the scripts that were loaded before
---@field memory lunette.memory its guest's memory, to be read and written by the test
---@field output string what was written to the trace output so far
---@field messages string[] what was told besides: errors of listeners, wheres that match nothing
---@field failures string[] as lunette.failures
local fake = {}

--- calls a function, which does what is said; of a host function: writes= returns= raises= exits=
---@param name string
---@param param any
---@param ... any
function fake:call(name, param, ...) end

--- loads a script into the fake's session, as -s does
---@param file string
---@param options? table
---@return lunette.script
function fake:load(file, options) end

--- loads Lua text, as -e does
---@param code string
---@param options? table
---@return lunette.script
function fake:eval(code, options) end

--- the guest's end: at_exit, and what was counted is printed
---@return integer
function fake:finish() end

--- frees it
function fake:close() end

---@class lunette.script
---@field name string as given to -s or lunette.load; "-e" for code
---@field path string | nil its file
---@field loaded boolean false once it has been unloaded
local script = {}

--- as lunette.unload
function script:unload() end

--- as lunette.reload
---@return lunette.script
function script:reload() end

---@class lunette.reading
local reading = {}

--- greater; so ge, lt, le, eq, ne; predicates combine by & | ~
---@param number number
---@return lunette.predicate
function reading:gt(number) end

--- greater or equal
---@param number number
---@return lunette.predicate
function reading:ge(number) end

--- less
---@param number number
---@return lunette.predicate
function reading:lt(number) end

--- less or equal
---@param number number
---@return lunette.predicate
function reading:le(number) end

--- equal
---@param number number | string
---@return lunette.predicate
function reading:eq(number) end

--- not equal
---@param number number | string
---@return lunette.predicate
function reading:ne(number) end

--- from low to high, both included
---@param low number
---@param high number
---@return lunette.predicate
function reading:between(low, high) end

--- all bits of the mask are set
---@param mask integer
---@return lunette.predicate
function reading:has(mask) end

--- a name fits: lunette.caller:glob("test_*")
---@param pattern string
---@return lunette.predicate
function reading:glob(pattern) end

--- the same value, unsigned
---@return lunette.reading
function reading:u() end

---@class lunette.aggregation
---@field kind string "count", …
---@field rows integer how many keys it has
---@field left_out integer calls that were left out, for want of budget
---@field bytes integer of its budget, in use
---@field budget integer bytes for keys and buckets
local aggregation = {}

--- writes it to lunette.out; what nobody has printed is printed at the end, unless quiet=true
---@param options? lunette.print_options
function aggregation:print(options) end

--- what print writes
---@param options? lunette.print_options
---@return string
function aggregation:text(options) end

--- its rows, the largest first
---@return table[]
function aggregation:table() end

--- forgets what it has counted, and goes on
function aggregation:reset() end

--- adds what another of the same kind has counted
---@param other lunette.aggregation
---@return lunette.aggregation
function aggregation:merge(other) end

---@class lunette.module
---@field name string its own name, else the file's
---@field imports { module?: any, name?: any, kind?: any, definition?: any, type?: any }[] what it imports
---@field exports { name?: any, kind?: any, definition?: any, type?: any }[] what it exports
---@field code_start integer where the code section's contents start in the module's bytes
local module = {}

--- the source frames of an instruction, innermost first, by debug information
---@param code_offset integer
---@return { name?: any, linkage_name?: any, file?: any, line?: any, column?: any, inlined?: any }[]
function module:places(code_offset) end

--- the function whose body an offset is in
---@param code_offset integer
---@return lunette.definition | nil
function module:function_at(code_offset) end

--- its functions, imported ones first
---@param where? string | string[] | lunette.where | fun(definition: lunette.definition): any
---@return lunette.definition[]
function module:functions(where) end

---@class lunette.instance
---@field name string as stacks show it
---@field module lunette.module what it was made from
---@field exports table<string, lunette.function | lunette.memory | lunette.table | lunette.global | lunette.tag> what it exports, by name
---@field memory lunette.memory | nil memory 0
---@field memories table<integer, lunette.memory> all memories, by index
---@field closed boolean whether it was closed
local instance = {}

--- calls an exported function; raises an err
---@param name string
---@param ... any
---@return any ...
function instance:invoke(name, ...) end

--- an exported global, or one by its index
---@param name string | integer
---@return lunette.global
function instance:global(name) end

--- an exported table, or one by its index
---@param name string | integer
---@return lunette.table
function instance:table(name) end

--- its functions, imported ones first
---@param where? string | string[] | lunette.where | fun(definition: lunette.definition): any
---@return lunette.function[]
function instance:functions(where) end

--- refuses new calls and frees its memory
function instance:close() end

---@class lunette.function
---@field name string its definition's name
---@field definition lunette.definition what its module says of it
---@field instance lunette.instance | nil what it is bound to
local function_ = {}

--- calls it; raises an err
---@param ... any
---@return any ...
function function_:invoke(...) end

--- calls it with raw 64-bit slots, and gives such
---@param slot integer
---@param ... any
---@return any ...
function function_:invoke_bits(slot, ...) end

---@class lunette.memory
---@field address string "i32" or "i64": the type of its addresses
local memory = {}

--- the byte at an address; addresses count modulo 2^32 where they are i32
---@param addr integer
---@return integer
function memory:u8(addr) end

--- the byte, signed
---@param addr integer
---@return integer
function memory:s8(addr) end

--- 16 bits, unsigned, little-endian
---@param addr integer
---@return integer
function memory:u16(addr) end

--- 16 bits, signed
---@param addr integer
---@return integer
function memory:s16(addr) end

--- 32 bits, unsigned
---@param addr integer
---@return integer
function memory:u32(addr) end

--- 32 bits, signed
---@param addr integer
---@return integer
function memory:i32(addr) end

--- 64 bits, signed
---@param addr integer
---@return integer
function memory:i64(addr) end

--- a 32-bit float
---@param addr integer
---@return number
function memory:f32(addr) end

--- a 64-bit float
---@param addr integer
---@return number
function memory:f64(addr) end

--- len bytes
---@param addr integer
---@param len integer
---@return string
function memory:string(addr, len) end

--- the bytes up to the first NUL, or max of them
---@param addr integer
---@param max? integer
---@return string
function memory:cstring(addr, max) end

--- the values of len bytes
---@param addr integer
---@param len integer
---@return any[]
function memory:bytes(addr, len) end

--- as hexdump -C prints them
---@param addr integer
---@param len integer
---@return string
function memory:hexdump(addr, len) end

--- where the bytes stand first
---@param string string
---@param from? integer
---@return integer | nil
function memory:find(string, from) end

--- in bytes
---@return integer
function memory:size() end

--- for host functions and programs; for listeners with --unsafe
---@param addr integer
---@param string string
function memory:write(addr, string) end

---@class lunette.global
---@field value any what it holds; can be set where memory can be written
---@field type string its type's name
---@field mutable boolean whether it can be set
local global = {}

---@class lunette.table
---@field size integer how many elements; t[i] counts from 0
---@field address string "i32" or "i64": the type of its indexes
---@field type string "funcref" or "externref"
local table = {}

---@class lunette.host
---@field name string the module's name that it stands for
local host = {}

---@class lunette.attachment
---@field name string | nil the name option, else the script's name
---@field functions integer to how many functions it listens
---@field calls integer how many calls it has heard
---@field errors integer how often its listeners failed
---@field muted integer how many of its listeners are muted for that
---@field detached boolean whether it has been detached
local attachment = {}

--- at once for new calls; with drop, open calls get neither after nor abort
---@param options? { drop?: any }
function attachment:detach(options) end

--- hears no new calls
function attachment:pause() end

--- hears them again
function attachment:resume() end

---@class lunette.watch
---@field detached boolean whether it has been detached
local watch = {}

--- hears no further events; with drop not the one either that is being told
---@param options? { drop?: any }
function watch:detach(options) end

---@class lunette.event
---@field kind "grow" | "instance" | "close" what has happened
---@field instance lunette.instance | nil the instance; of growth whose code asked for it, nil: the host
---@field memory lunette.memory | nil what was to grow, if it is a memory
---@field table lunette.table | nil what was to grow, if it is a table
---@field old integer the size before, in pages or elements
---@field delta integer by how much it was to grow
---@field result integer | nil the old size; nil where it could not grow
local event = {}

--- the stack at that point, to keep; nil where no guest runs
---@return lunette.stack | nil
function event:stack() end

---@class lunette.pairing
---@field befores integer how many calls began
---@field afters integer how many returned
---@field aborts integer how many were aborted
---@field open integer how many have not ended
---@field deepest integer the most that were open at a time
---@field walks integer how many stacks were compared with what is open
---@field violations integer how often something did not hold
---@field first string | nil the first violation
local pairing = {}

--- between runs: raises where something did not hold or a call is open still
function pairing:check() end

--- hears no new calls
function pairing:detach() end

---@class lunette.call
---@field id integer unique and increasing; the same in before, after and abort, and for interceptors, but for one that calls the guest before the call goes on: then listeners hear a later one
---@field depth integer frames below, from 0 at the outermost entry
---@field parent_id integer | nil the nearest enclosing call that this attachment heard, or intercepted
---@field tail lunette.definition | nil in after: the callee of the tail call that ended it; there are no results then
---@field tail_of integer | nil the id of the call whose place it took by a tail call
---@field name string the function's name
---@field definition lunette.definition what is called
---@field instance lunette.instance | nil the callee's; of a host function the importing one
---@field caller lunette.frame | nil who called; nil at the outermost entry
---@field entry "start" | "export" | "function" | nil how the host entered, if it did
---@field is_host boolean whether it is a host function
---@field data any a place of the listener's own, nil at first, from before to after or abort; not kept between params and results of an interceptor, where a function has locals for it
---@field time integer the moment of the event, in ns of a monotonic clock; with time=true
---@field weight integer how many calls it stands for: with a where that samples, one in so many
---@field elapsed integer in after and abort: ns the call took, less the time spent in listeners; with time=true
---@field self_time integer the same less the calls in it that this attachment heard; with time=true
---@field intercepted string | nil what interceptors have done to it so far: "params", "results", "call", several of them, or "unchanged"
---@field memory lunette.memory | nil memory 0 of call.instance
local call = {}

--- a param; in after and abort with params=true
---@param i integer | string
---@return any
function call:param(i) end

--- the same, an i32 as 0..2^32-1
---@param i integer | string
---@return any
function call:uparam(i) end

--- all of them
---@return any ...
function call:params() end

--- the raw bits of a param, in after of a result
---@param i integer
---@return integer
function call:bits(i) end

--- in lunette.intercept, once: calls the callee, with no params given as they are; raises an err where it fails
---@param ... any
---@return any ...
function call:proceed(...) end

--- the stack, valid inside the callback
---@return lunette.stack
function call:stack() end

--- a number for the stack, the same for the same stack; nil: no room (1 GiB)
---@return integer | nil
function call:stack_id() end

--- a copy of the stack, to keep
---@return lunette.stack
function call:snapshot() end

--- what is known of the call now, to keep
---@return table
function call:keep() end

---@class lunette.timer
---@field active boolean whether it will call again
local timer = {}

--- no more calls
function timer:stop() end

---@class lunette.stack
---@field [integer] lunette.frame from 1, the innermost
---@field omitted integer frames left out of a snapshot
local stack = {}

---@class lunette.frame
---@field definition lunette.definition whose frame it is
---@field instance lunette.instance | nil of which instance
---@field offset integer | nil of the call instruction, from the start of the code section's contents
---@field file_offset integer | nil the same from the module's first byte
---@field file string | nil the source file of the place in the frame's function, by debug information
---@field line integer | nil the line there
---@field column integer | nil the column there
---@field inlined { name?: any, linkage_name?: any, file?: any, line?: any, column?: any, inlined?: any }[] the functions inlined at the place that it is in, innermost first
---@field is_host boolean whether it is a host function's
---@field reentry boolean whether it was called from the host
---@field exact boolean | nil whether its params are those that were passed
local frame = {}

--- the same of one: false where the body may have changed it
---@param i integer | string
---@return boolean | nil
function frame:is_exact(i) end

--- the present values of its params, inside the callback
---@return any ...
function frame:params() end

--- the locals that its function declares, params not among them, as they are now, inside the callback; their names are from the name section, else those of the variables that they hold at this place by debug information: what the compiler keeps in memory, as it does with all without optimising, is in no local
---@return { index?: any, name?: any, type?: any, value?: any }[]
function frame:locals() end

---@class lunette.definition
---@field index integer in its module; of a host function in the importing one
---@field name string from the name section, an export, an import, or #index; demangled
---@field raw_name string the same as the module has it
---@field own_name string | nil from the name section alone; of a host function as it was given
---@field own_module string | nil the same of its module
---@field named_locals integer how many locals, params among them, the name section names
---@field module string its module's name
---@field exports string[] under which it is exported
---@field import { module?: any, name?: any } | nil as what it is imported
---@field params string[] "i32", …
---@field results string[] "i32", …
---@field param_names table<integer, string> where they have names, in the name section or the debug information
---@field is_host boolean whether it is a host function
---@field file string | nil the source file that it is defined in, by debug information
---@field line integer | nil the line there
---@field offset integer | nil of its body, from the start of the code section's contents
---@field size integer | nil of its body, in bytes
local definition = {}

---@class lunette.tag
---@field name string from the name section, an export, or #index; "tag" for one of the host's making
---@field params string[] of the values that its exceptions carry
local tag = {}

--- a new one; a host function throws it by error(exception)
---@param ... any
---@return lunette.exception
function tag:exception(...) end

---@class lunette.exception
---@field tag lunette.tag which kind of exception it is
---@field values any[] what it carries
local exception = {}

---@class lunette.err
---@field kind string trap, exception, host, exit, exhausted, timeout, interrupted, listener, malformed, invalid, …
---@field code string | integer | nil the trap's name, or the exit status
---@field message string one line
---@field detail string | nil further lines; of a host function's error, the traceback
---@field stack lunette.stack | nil the stack at the point of failure
---@field value any what a host function raised
---@field exception lunette.exception | nil with kind exception; error(err) in a host function throws the same again
---@field tag lunette.tag | nil its tag
---@field values any[] | nil what it carries
---@field caught boolean in abort: whether a frame further out catches the exception
---@field offset integer | nil with malformed and invalid: the byte in the module
---@field exit_status integer the command's exit status for it
local err = {}

return lunette
