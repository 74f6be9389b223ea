-- Reads a session and its newest messages.
-- ARGV: 3 name, 4 how many. Returns 'OK', row, elements, newest first.
local s, failure = existing(ARGV[3])
if failure then return failure end
return {'OK', row(s), read(s, s.length - 1, math.max(0, s.length - tonumber(ARGV[4])), -1,
  READ_BYTES - (s.reply and s.reply.bytes or 0)), s.reply and redis.call('LRANGE', s.keys.chunks, 0, -1) or {}}
