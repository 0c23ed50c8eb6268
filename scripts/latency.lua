-- SPDX-License-Identifier: MIT
-- How long do calls take?
--
-- A line for each function: how many calls, how long all of them took together and on average, with what they call; the time
-- that half of them (p50), nine of ten (p90) and 99 of a hundred (p99) do not exceed, within 1 %; and the slowest.

local options = lunette.options({
  top = { default = 20, min = 0, help = "how many lines are shown; 0: all" },
  by = { default = "name", help = "what has a line of its own", choices = { "name", "caller", "module", "instance" } },
  format = { default = "text", help = "text, json, csv or openmetrics", choices = { "text", "json", "csv", "openmetrics" } },
})

local latency = lunette.latency({ by = options.by, quiet = true })
lunette.on(lunette.where, latency)
lunette.at_exit(function() latency:print({ top = options.top, format = options.format }) end)
