-- Stops the reply in progress.
-- ARGV: 3 name, 4 reply id ('' whichever). Returns 'OK', 'ended' and so on, then the element stored ('' none).
local s, failure = existing(ARGV[3])
if failure then return failure end
if not s.reply or (ARGV[4] ~= '' and ARGV[4] ~= s.reply.id) then return {'REPLY_NOT_FOUND'} end
local answer = end_reply(s, 'stopped', 'stopped', '')
answer[7] = #answer[6] > 0 and redis.call('LINDEX', s.keys.messages, -1) or ''
return answer
