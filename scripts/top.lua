-- SPDX-License-Identifier: MIT
-- Which functions does the time go to?
--
-- A line for each function: the time spent in it, less that of the functions it called and that are listened to, and how
-- many calls there were.

local options = lunette.options({
  top = { default = 20, min = 0, help = "how many functions are shown; 0: all" },
  format = { default = "text", help = "text, json, csv or openmetrics", choices = { "text", "json", "csv", "openmetrics" } },
})

local time = lunette.sum({ value = lunette.self_time, quiet = true })
lunette.on(lunette.where, time)
lunette.at_exit(function() time:print({ top = options.top, format = options.format }) end)
