-- When sessions fall due.

-- When the session expires unless something is written, in ms; nil: never.
local function expiry(s)
  local latest
  for _, key in ipairs({s.keys.messages, s.keys.metadata}) do
    local at = redis.call('PEXPIRETIME', key)
    if at == -1 then return nil end
    if at > 0 then latest = math.max(latest or 0, at) end
  end
  return latest
end

-- Puts the session where it falls due: when the lease of its reply ends, else when the first of its keys expires.
local function schedule(s)
  local first = s.reply and s.reply.lease_until
  for _, key in ipairs({s.keys.messages, s.keys.metadata}) do
    local at = redis.call('PEXPIRETIME', key)
    if at > 0 then first = math.min(first or at, at) end
  end
  if first then redis.call('ZADD', DUE, integer(first), s.name) else redis.call('ZREM', DUE, s.name) end
end

-- Restarts the expiry of the whole session: its own ttl, else the default, else none; none while a reply is written.
local function restart_clock(s)
  local ttl = s.reply and 0 or s.ttl or DEFAULT_TTL or 0
  local expires = ttl > 0 and NOW + ttl or nil
  for _, key in ipairs({s.keys.messages, s.keys.metadata, s.keys.reply, s.keys.chunks}) do
    if expires then redis.call('PEXPIREAT', key, integer(expires)) else redis.call('PERSIST', key) end
  end
  for key, day in pairs({[s.keys.today] = TODAY, [s.keys.yesterday] = TODAY - 1}) do
    local forgotten = (day + 2) * DAY
    redis.call('PEXPIREAT', key, integer(expires and math.min(expires, forgotten) or forgotten))
  end
  local due = s.reply and s.reply.lease_until or expires
  if due then redis.call('ZADD', DUE, integer(due), s.name) else redis.call('ZREM', DUE, s.name) end
end
