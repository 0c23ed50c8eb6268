-- SPDX-License-Identifier: MIT
std = "lua54"
max_line_length = 128
files["scripts"] = { read_globals = { "lunette" } }
files["examples"] = { read_globals = { "lunette" } }
files["examples/*_spec.lua"] = { std = "+busted" }
files["spec"] = { std = "+busted" }
files["spec/support/scripts"] = { read_globals = { "lunette" } }
exclude_files = { "build" }
