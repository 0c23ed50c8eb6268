-- SPDX-License-Identifier: MIT
-- The way out, from C: each sentence is a case of one of the programs spec/c/output_*.c.

local c = require("spec.support.c")

local function cases(program, sentences)
  for _, sentence in ipairs(sentences) do
    local name, text = sentence[1], sentence[2]
    it(text, function()
      assert.equal("ok " .. name .. "\n", c(program, name))
    end)
  end
end

describe("an output carries every byte, once and in order,", function()
  cases("output_bytes", {
    { "hammer", "100 MB through a ring of 4 KiB" },
    { "lines", "short lines through a large ring" },
    { "huge", "in one write larger than the ring" },
    { "slow_pipe", "to a pipe with a slow reader" },
    { "slow_nonblocking_pipe", "to a pipe that somebody made non-blocking" },
    { "slow_socket", "to a socket" },
    { "several", "from several threads through one writer" },
    { "one_is_stuck", "also while another output of the writer is stuck" },
    { "destroy_without_close", "when its writer is destroyed with it open" },
  })
end)

describe("an output writes", function()
  cases("output_moments", {
    { "flush", "before a flush returns" },
    { "order", "in order with others that write to the same file" },
    { "soon", "soon, when nobody flushes" },
    { "terminal", "at once, to a terminal" },
    { "without_membarrier", "the same where the kernel has no membarrier" },
    { "same_file", "to a file that it knows again" },
  })
end)

describe("an output that fails", function()
  cases("output_failures", {
    { "closed_pipe", "says so when nobody reads the pipe" },
    { "reader_leaves", "wakes the producer when the reader leaves" },
    { "full_disk", "says so when the disk is full" },
    { "file_too_large", "counts what was written and what was lost" },
    { "beside_a_failed_one", "is no other output's concern" },
    { "refused", "to open says why in a sentence" },
    { "not_permitted", "to open for want of permission says so" },
    { "no_descriptors", "to start for want of descriptors leaves nothing behind" },
    { "no_thread", "to start for want of a thread leaves nothing behind" },
  })
end)

describe("the writer", function()
  cases("output_signals", {
    { "signals", "tells of SIGINT and SIGTERM, and counts them" },
    { "ignored_signal", "leaves a signal ignored that was ignored before" },
    { "signal_while_stuck", "hears a signal while the destination is stuck" },
    { "deadline", "tells when the deadline has passed" },
    { "rescue", "writes all there is for a fatal-signal handler" },
    { "rescue_anywhere", "writes all there is wherever the signal struck" },
    { "rescue_here", "writes all there is in a callback of its own" },
    { "rescue_in_vain", "gives up a rescue in time when nobody reads" },
  })
end)
