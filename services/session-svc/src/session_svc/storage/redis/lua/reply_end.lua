-- Ends a reply: its writer's finish or fail.
-- ARGV: 3 name, 4 reply id, 5 fence, 6 'finished' or 'failed', 7 reason, 8 attributes ('' the reply's parts), then
--       messages that are stored instead (see push_messages). Returns 'OK', 'ended' and so on.
local s, failure = open(ARGV[3])
if failure then return failure end
if not s.exists then return {'REPLY_LOST'} end
reconcile(s)
local reply, answer = held(s, ARGV[4], ARGV[5])
if not reply then return answer end
return end_reply(s, ARGV[6], ARGV[7], ARGV[8], 9)
