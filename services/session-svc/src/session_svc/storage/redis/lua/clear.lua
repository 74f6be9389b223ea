-- Removes every message; what else is known of the session stays.
-- ARGV: 3 name, 4 expected. Returns 'OK', row.
local s, failure = existing(ARGV[3])
if failure then return failure end
failure = conflict(s, ARGV[4])
if failure then return failure end
abandon_reply(s)
redis.call('DEL', s.keys.messages)
s.epoch, s.length, s.active = next_epoch(s.epoch), 0, NOW
s.last_role, s.preview, s.awaiting = '', '', false
save(s)
restart_clock(s)
publish(s, 'clear', '{}')
publish_list(s, 'updated')
return {'OK', row(s)}
