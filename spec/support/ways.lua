-- SPDX-License-Identifier: MIT
-- A guest with a function for each way out of a call, and counting what is heard of it.

local guest = require("spec.support.guest")

local ways = {}

local ways_out = [[(module
  (import "env" "fail" (func $fail))
  (import "env" "leave" (func $leave (param i32)))
  (memory 1)
  (func $ends (export "ends"))
  (func $returns (export "returns") (return))
  (func $br (export "br") (br 0))
  (func $br_if (export "br_if") (br_if 0 (i32.const 1)) unreachable)
  (func $br_table (export "br_table") (block (br_table 1 1 (i32.const 0))) unreachable)
  (func $gives (export "gives") (result i32) (i32.const 7))
  (func $unreachable (export "unreachable") unreachable)
  (func $divides (export "divides") (drop (i32.div_s (i32.const 1) (i32.const 0))))
  (func $loads (export "loads") (drop (i32.load (i32.const 70000))))
  (func $host_error (export "host_error") (call $fail))
  (func $exits (export "exits") (call $leave (i32.const 0)))
  (func $deep (export "deep") (param $n i32) (result i32)
    (if (result i32) (local.get $n)
      (then (i32.add (i32.const 1) (call $deep (i32.sub (local.get $n) (i32.const 1)))))
      (else (i32.const 0))))
  (func $deep_trap (export "deep_trap") (param $n i32)
    (if (local.get $n) (then (call $deep_trap (i32.sub (local.get $n) (i32.const 1)))) (else unreachable)))
  (func $endless (export "endless") (call $endless))
  (func $spins (export "spins") (loop (br 0))))]]

function ways.open(session_options)
  return guest.open(ways_out, {
    session = session_options,
    imports = function(lunette)
      return { lunette.host("env", {
        fail = { function() error("it fails") end },
        leave = { params = { "i32" }, function(_, status) lunette.stop(status) end },
      }) }
    end,
  })
end

-- Counts the events of each kind; `open` says how many calls are without an end.
function ways.count(app, where)
  local seen = { before = 0, after = 0, abort = 0, kinds = {} }
  local pending = {}
  app.lunette.on(where, {
    before = function(call)
      seen.before = seen.before + 1
      pending[#pending + 1] = call.id
    end,
    after = function(call)
      seen.after = seen.after + 1
      assert(table.remove(pending) == call.id, "after of another call than the innermost")
    end,
    abort = function(call, err)
      seen.abort = seen.abort + 1
      seen.kinds[err.kind] = (seen.kinds[err.kind] or 0) + 1
      assert(table.remove(pending) == call.id, "abort of another call than the innermost")
    end,
  })
  function seen.open() return #pending end
  return seen
end

return ways
