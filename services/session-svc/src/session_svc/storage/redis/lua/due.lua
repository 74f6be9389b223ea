-- Names of sessions at which something has fallen due, the longest due first.
-- ARGV: 3 limit. Returns 'OK', names.
local failure = unusable(DUE, 'zset')
if failure then return failure end
return {'OK', redis.call('ZRANGEBYSCORE', DUE, '-inf', integer(NOW), 'LIMIT', 0, tonumber(ARGV[3]))}
