-- SPDX-License-Identifier: MIT
std = "lua54"
max_line_length = 128
files["scripts"] = { read_globals = { "lunette" } }
files["examples"] = { read_globals = { "lunette" } }
files["spec"] = { std = "+busted" }
exclude_files = { "build" }
