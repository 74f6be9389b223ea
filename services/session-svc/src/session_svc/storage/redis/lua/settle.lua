-- Does what has fallen due at a session: ends the reply whose lease is over, drops the session when it has expired, else
-- moves it on to its next moment. Whoever comes second finds nothing to do.
-- ARGV: 3 name, 4 for how many ms the store has been reachable: its writers may need a lease to come back.
-- Returns 'OK'.
local s, failure = open(ARGV[3])
if failure then
  -- Somebody's key of another type: it would fall due for ever.
  if not INDEX_FAILURE then redis.call('ZREM', DUE, ARGV[3]) end
  return failure
end
if s.exists then
  reconcile(s)
  end_if_lost(s, tonumber(ARGV[4]))
  schedule(s)
  if s.reply and s.reply.lease_until <= NOW then
    redis.call('ZADD', DUE, integer(NOW + math.max(1, s.reply.lease - tonumber(ARGV[4]))), s.name)
  end
else
  forget_if_known(s)
end
return {'OK'}
