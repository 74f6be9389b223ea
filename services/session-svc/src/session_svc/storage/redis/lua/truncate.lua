-- Removes the last messages.
-- ARGV: 3 name, 4 expected, 5 how many to keep ('' see 6), 6 how many to remove.
-- Returns 'OK', row, the epoch before, sequence of the last element removed, elements removed that fit a response, newest first.
local s, failure = existing(ARGV[3])
if failure then return failure end
failure = conflict(s, ARGV[4])
if failure then return failure end
local epoch, length = s.epoch, s.length
local keep = ARGV[5] ~= '' and tonumber(ARGV[5]) or math.max(0, length - tonumber(ARGV[6]))
if keep >= length then return {'OK', row(s), epoch, length, {}} end
local removed = read(s, length - 1, math.max(keep, length - 1000), -1)
abandon_reply(s)
if keep == 0 then
  redis.call('DEL', s.keys.messages)
else
  redis.call('LTRIM', s.keys.messages, 0, keep - 1)
end
s.epoch, s.length = next_epoch(s.epoch), keep
look_at_last(s)
s.awaiting = s.last_role == 'user'
save(s)
restart_clock(s)
publish(s, 'truncate', '{"keep":' .. integer(keep) .. '}')
publish_list(s, 'updated')
return {'OK', row(s), epoch, length, removed}
