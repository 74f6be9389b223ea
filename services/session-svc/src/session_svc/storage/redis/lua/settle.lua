-- Does what has fallen due at a session: drops it when it has expired, else moves it on to its next moment. Whoever
-- comes second finds nothing to do.
-- ARGV: 3 name. Returns 'OK'.
local s, failure = open(ARGV[3])
if failure then
  -- Somebody's key of another type: it would fall due for ever.
  redis.call('ZREM', DUE, ARGV[3])
  return failure
end
if s.exists then
  reconcile(s)
  schedule(s)
elseif redis.call('ZSCORE', ACTIVITY, s.name) or redis.call('ZSCORE', DUE, s.name) then
  forget(s)
end
return {'OK'}
