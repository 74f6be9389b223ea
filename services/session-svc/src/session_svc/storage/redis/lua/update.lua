-- Changes what the user said of a session.
-- ARGV: 3 name, then pairs: 'title' text, 'ttl' ms ('' none of its own), 'labels' JSON object or ''.
-- Returns 'OK', row.
local s, failure = existing(ARGV[3])
if failure then return failure end
for at = 4, #ARGV, 2 do
  local field, value = ARGV[at], ARGV[at + 1]
  if field == 'title' then
    s.title, s.title_source = value, value ~= '' and 'user' or ''
    if value == '' then title_if_none(s, automatic_title(s)) end
  elseif field == 'ttl' then
    s.ttl = tonumber(value)
  elseif field == 'labels' then
    s.labels = value
  end
end
save(s)
restart_clock(s)
publish(s, 'updated', session_json(s))
publish_list(s, 'updated')
return {'OK', row(s)}
