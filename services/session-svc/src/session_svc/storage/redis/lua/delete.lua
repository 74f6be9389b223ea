-- Removes a session.
-- ARGV: 3 name, 4 expected. Returns 'OK'.
local s, failure = existing(ARGV[3])
if failure then return failure end
failure = conflict(s, ARGV[4])
if failure then return failure end
abandon_reply(s)
forget(s)
return {'OK'}
