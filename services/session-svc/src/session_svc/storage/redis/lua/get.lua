-- Reads a session.
-- ARGV: 3 name. Returns 'OK', row.
local s, failure = existing(ARGV[3])
if failure then return failure end
return {'OK', row(s)}
