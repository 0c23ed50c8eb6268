-- SPDX-License-Identifier: MIT
--- The module `lunette` in a program of one's own: the API on a default session.
-- @module lunette

return require("lunette.session").default().api
