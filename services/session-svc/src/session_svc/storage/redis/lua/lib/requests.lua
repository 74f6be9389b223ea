-- What a session has answered, remembered for two days: request ids under themselves, ended replies under
-- 'reply/<id>'. A request id that could be taken for the latter is kept under 'request/<request id>'.

local function request_field(id)
  return (id:find('^reply/') or id:find('^request/')) and 'request/' .. id or id
end

local function reply_field(id) return 'reply/' .. id end

local function remembered(s, field)
  return redis.call('HGET', s.keys.today, field) or redis.call('HGET', s.keys.yesterday, field)
end
