-- Takes the session's reply slot and stores the user's turn, or resumes a reply of the writer's own.
-- ARGV: 3 name, 4 may be created ('1'), 5 owner if created, 6 expected, 7 reply id, 8 writer key, 9 fence, 10 author,
--       11 model, 12 lease in ms, 13 ms for which the store has been reachable, 14 title if there is none,
--       15 awaiting reply (as append.lua), then the messages (see push_messages).
-- Returns 'OK', 'started', epoch, length, frames accepted, bytes of text, bytes; or 'OK', 'ended' and so on (see ended_row).
local s, failure = open(ARGV[3])
if failure then return failure end
local id, writer, has_messages = ARGV[7], ARGV[8], #ARGV > 15
if s.exists then
  reconcile(s)
  end_if_lost(s, tonumber(ARGV[13]))
  local mine = writer ~= ''
  if s.reply and mine and s.reply.id == id and s.reply.writer == writer then
    s.reply.lease, s.reply.lease_until = tonumber(ARGV[12]), NOW + tonumber(ARGV[12])
    redis.call('HSET', s.keys.reply, 'fence', ARGV[9], 'lease', ARGV[12], 'leaseUntil', integer(s.reply.lease_until))
    redis.call('ZADD', DUE, integer(s.reply.lease_until), s.name)
    return {'OK', 'started', s.epoch, s.length, s.reply.frames, s.reply.text_bytes, s.reply.bytes}
  end
  local ending = remembered_end(s, id)
  if ending then
    if mine and ending.writer == writer then return ended_row(ending) end
    return {'REPLY_LOST'}
  end
  if s.reply then return {'REPLY_IN_PROGRESS'} end
end
if not s.exists and not has_messages then return {'SESSION_NOT_FOUND'} end
if not s.exists and ARGV[4] ~= '1' then return {'INVALID_NAME'} end
failure = conflict(s, ARGV[6])
if failure then return failure end

local created = not s.exists
if created then found(s, ARGV[5]) end
local events, first = push_messages(s, 16)
s.reply = {
  id = id, writer = writer, fence = ARGV[9], author = ARGV[10], model = ARGV[11], started = NOW,
  lease = tonumber(ARGV[12]), lease_until = NOW + tonumber(ARGV[12]), frames = 0, text_bytes = 0, bytes = 0,
}
if created then redis.call('DEL', s.keys.reply, s.keys.today, s.keys.yesterday) end
redis.call('HSET', s.keys.reply, 'id', id, 'writer', writer, 'fence', ARGV[9], 'author', ARGV[10], 'model', ARGV[11],
  'startedAt', integer(NOW), 'lease', ARGV[12], 'leaseUntil', integer(s.reply.lease_until), 'frames', 0,
  'textBytes', 0, 'bytes', 0)
redis.call('DEL', s.keys.chunks)
s.active = NOW
if has_messages then
  look_at_last(s)
  if ARGV[15] ~= '' then s.awaiting = ARGV[15] == '1' end
  title_if_none(s, ARGV[14])
end
save(s)
restart_clock(s)
for index, body in ipairs(events) do publish_message(s, role_of(body), body, first + index - 1) end
publish(s, 'start', reply_json(s.reply, 'replyId'))
publish_list(s, created and 'created' or 'updated')
return {'OK', 'started', s.epoch, s.length, 0, 0, 0}
