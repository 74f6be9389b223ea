-- Appends messages in one step.
-- ARGV: 3 name, 4 may be created ('1'), 5 must exist ('1'), 6 owner if created, 7 expected ('*', '' or position),
--       8 request id ('' none), 9 fingerprint, 10 ids (as remembered for a repetition), 11 title if there is none,
--       12 last role, 13 preview, 14 awaiting reply ('1', '0', '' as it is), then the messages (see push_messages).
-- Returns 'OK', 'new' or 'repeated', epoch and sequence of the first message, time, ids, row. When repeated, of the
-- first answer.
local s, failure = open(ARGV[3])
if failure then return failure end
local request_id, fingerprint = request_field(ARGV[8]), ARGV[9]
if s.exists then reconcile(s) end

if s.exists and request_id ~= '' then
  local answer = remembered(s, request_id)
  if answer then
    local body, epoch, first, time, ids = answer:match('^(%S+) (%S+) (%d+) (%d+) (%S*)$')
    if body ~= fingerprint then return {'REQUEST_ID_REUSED'} end
    return {'OK', 'repeated', epoch, tonumber(first), tonumber(time), ids, row(s)}
  end
end
if not s.exists and ARGV[5] == '1' then return {'SESSION_NOT_FOUND'} end
if not s.exists and ARGV[4] ~= '1' then return {'INVALID_NAME'} end
failure = conflict(s, ARGV[7])
if failure then return failure end
if s.exists and request_id ~= '' and redis.call('HLEN', s.keys.today) >= 10000 then
  return {'RATE_LIMITED', integer((TODAY + 1) * DAY - NOW)}
end

local created = not s.exists
if created then found(s, ARGV[6]) end
local events, first = push_messages(s, 15)
if created then redis.call('DEL', s.keys.reply, s.keys.chunks, s.keys.today, s.keys.yesterday) end
s.active, s.last_role, s.preview = NOW, ARGV[12], ARGV[13]
if ARGV[14] ~= '' then s.awaiting = ARGV[14] == '1' end
if s.reply and s.awaiting then redis.call('HSET', s.keys.reply, 'askedAgain', '1') end
title_if_none(s, ARGV[11])
save(s)
if request_id ~= '' then
  redis.call('HSET', s.keys.today, request_id,
    fingerprint .. ' ' .. s.epoch .. ' ' .. integer(first) .. ' ' .. integer(NOW) .. ' ' .. ARGV[10])
end
restart_clock(s)
for index, body in ipairs(events) do publish_message(s, role_of(body), body, first + index - 1) end
publish_list(s, created and 'created' or 'updated')
return {'OK', 'new', s.epoch, first, NOW, ARGV[10], row(s)}
