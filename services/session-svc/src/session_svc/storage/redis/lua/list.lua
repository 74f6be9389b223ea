-- Reads sessions in descending order of (activity, name), and drops from the list those that have expired.
-- ARGV: 3 limit, 4 and 5 activity and name to go on after ('' from the first).
-- Returns 'OK', the activity and name to go on after ('' at the end), rows.
if INDEX_FAILURE then return INDEX_FAILURE end
local limit, time, name = tonumber(ARGV[3]), ARGV[4], ARGV[5]
local first = 0
if time ~= '' then
  -- The place of the first entry below (time, name), by bisection: that session itself may have moved on.
  first = redis.call('ZCOUNT', ACTIVITY, '(' .. time, '+inf')
  local stop = first + redis.call('ZCOUNT', ACTIVITY, time, time)
  while first < stop do
    local middle = math.floor((first + stop) / 2)
    if redis.call('ZREVRANGE', ACTIVITY, middle, middle)[1] < name then stop = middle else first = middle + 1 end
  end
end
local entries = redis.call('ZREVRANGE', ACTIVITY, first, first + limit, 'WITHSCORES')
local rows, last_time, last_name = {}, '', ''
for at = 1, math.min(#entries, limit * 2), 2 do
  local s, refused = open(entries[at])
  if s and s.exists then
    reconcile(s)
    rows[#rows + 1] = row(s)
  elseif not refused then
    forget(s)
  end
  last_name, last_time = entries[at], entries[at + 1]
end
if #entries <= limit * 2 then last_time, last_name = '', '' end
return {'OK', last_time, last_name, rows}
