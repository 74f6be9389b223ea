-- Names of sessions at which something has fallen due, the longest due first.
-- ARGV: 3 limit. Returns 'OK', names.
if INDEX_FAILURE then return INDEX_FAILURE end
return {'OK', redis.call('ZRANGEBYSCORE', DUE, '-inf', integer(NOW), 'LIMIT', 0, tonumber(ARGV[3]))}
