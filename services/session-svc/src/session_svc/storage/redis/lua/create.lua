-- Creates a session without messages, or resumes one.
-- ARGV: 3 name, 4 may be created ('1'), 5 may exist ('1'), 6 title, 7 ttl in ms ('' none of its own), 8 labels (JSON
--       object or ''), 9 owner. Returns 'OK', row.
local s, failure = open(ARGV[3])
if failure then return failure end
if s.exists then
  reconcile(s)
  if ARGV[5] ~= '1' then return {'SESSION_EXISTS'} end
  restart_clock(s)
  return {'OK', row(s)}
end
if ARGV[4] ~= '1' then return {'INVALID_NAME'} end
found(s, ARGV[9])
s.active = NOW
s.title, s.title_source = ARGV[6], ARGV[6] ~= '' and 'user' or ''
s.ttl, s.labels = tonumber(ARGV[7]), ARGV[8]
-- First the write that a full server refuses: it refuses only the first of a script.
save(s)
redis.call('DEL', s.keys.reply, s.keys.chunks, s.keys.today, s.keys.yesterday)
restart_clock(s)
publish(s, 'updated', session_json(s))
publish_list(s, 'created')
return {'OK', row(s)}
