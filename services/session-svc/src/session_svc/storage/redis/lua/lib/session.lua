-- A session as a table: how it is read, and how what the table says is written.

local DATA_VERSION = 1

local function keys_of(name)
  local prefix = 'session:' .. name .. ':'
  return {
    messages = prefix .. 'messages', metadata = prefix .. 'metadata',
    reply = prefix .. 'reply', chunks = prefix .. 'reply:chunks',
    today = prefix .. 'requests:' .. integer(TODAY), yesterday = prefix .. 'requests:' .. integer(TODAY - 1),
  }
end

local function unusable(key, wanted)
  local found = redis.call('TYPE', key).ok
  if found ~= 'none' and found ~= wanted then
    return {'UNUSABLE_DATA', key .. ' is a ' .. found .. ', not a ' .. wanted}
  end
end

local INDEX_FAILURE = unusable(ACTIVITY, 'zset') or unusable(DUE, 'zset')

-- Reads a session without changing anything. Returns it, or nil and a failure.
local function open(name)
  local keys = keys_of(name)
  local failure = INDEX_FAILURE or unusable(keys.messages, 'list') or unusable(keys.metadata, 'hash')
  -- Most sessions have none of these four: one question instead of five.
  local has_more = redis.call('EXISTS', keys.today, keys.yesterday, keys.reply, keys.chunks) > 0
  if has_more then
    failure = failure or unusable(keys.today, 'hash') or unusable(keys.yesterday, 'hash')
      or unusable(keys.reply, 'hash') or unusable(keys.chunks, 'list')
  end
  if failure then return nil, failure end
  local field = redis.call('HMGET', keys.metadata, 'version', 'epoch', 'seen', 'name', 'createdAt', 'lastMessage',
    'title', 'titleSource', 'owner', 'ttl', 'labels', 'lastRole', 'preview', 'awaitingReply')
  local version = tonumber(field[1] or 1)
  if not version or version > DATA_VERSION then
    return nil, {'UNUSABLE_DATA', 'it is of version ' .. field[1] .. ', this service knows ' .. DATA_VERSION}
  end
  local length = redis.call('LLEN', keys.messages)
  local epoch = field[2] or ''
  local reply = not has_more and {} or redis.call('HMGET', keys.reply, 'id', 'writer', 'fence', 'author', 'model',
    'startedAt', 'lease', 'leaseUntil', 'frames', 'textBytes', 'bytes', 'askedAgain')
  return {
    name = name, keys = keys, length = length,
    exists = length > 0 or redis.call('EXISTS', keys.metadata) == 1,
    epoch = epoch:match('^[0-9a-z]+$') and #epoch >= 5 and #epoch <= 24 and epoch or nil,
    seen = field[3] or '', named = field[4] == name,
    created = tonumber(field[5] or ''), active = tonumber(field[6] or ''),
    title = field[7] or '', title_source = field[8] or '', owner = field[9] or '',
    ttl = tonumber(field[10] or ''), labels = field[11] or '',
    last_role = field[12] or '', preview = field[13] or '', awaiting = field[14] == '1',
    reply = reply[1] and {
      id = reply[1], writer = reply[2], fence = reply[3], author = reply[4] or '', model = reply[5] or '',
      started = tonumber(reply[6]) or NOW, lease = tonumber(reply[7]) or 0, lease_until = tonumber(reply[8]) or 0,
      frames = tonumber(reply[9]) or 0, text_bytes = tonumber(reply[10]) or 0, bytes = tonumber(reply[11]) or 0,
      asked_again = reply[12] == '1',
    } or nil,
  }
end

local function position(s) return s.epoch .. '.' .. integer(s.length) end

-- `expected`: '*' anything, '' no messages, else a position. Returns a failure when the head is elsewhere.
local function conflict(s, expected)
  if expected == '*' or (expected == '' and s.length == 0) then return end
  if not s.exists then return {'POSITION_CONFLICT', ''} end
  if expected ~= position(s) then return {'POSITION_CONFLICT', position(s)} end
end

-- Makes a session that does not exist yet one that does; its caller saves it, and drops what an earlier one left.
local function found(s, owner)
  s.exists, s.epoch, s.created, s.owner, s.reply = true, next_epoch(s.epoch), NOW, owner, nil
end

local function seen(s)
  if s.length == 0 then return '0:' end
  return integer(s.length) .. ':' .. redis.sha1hex(redis.call('LINDEX', s.keys.messages, -1))
end

local function title_if_none(s, candidate)
  if s.title == '' then
    s.title = candidate
    s.title_source = candidate ~= '' and 'auto' or ''
  elseif s.title_source == '' then
    s.title_source = 'user'
  end
end

-- Writes what the session table says to the hash and to the list of sessions.
local function save(s)
  s.seen = seen(s)
  redis.call('HSET', s.keys.metadata, 'version', DATA_VERSION, 'epoch', s.epoch, 'seen', s.seen, 'name', s.name,
    'createdAt', integer(s.created), 'lastMessage', integer(s.active), 'messageCount', integer(s.length),
    'title', s.title, 'titleSource', s.title_source, 'owner', s.owner, 'ttl', s.ttl and integer(s.ttl) or '',
    'labels', s.labels, 'lastRole', s.last_role, 'preview', s.preview, 'awaitingReply', s.awaiting and '1' or '')
  redis.call('ZADD', ACTIVITY, integer(s.active), s.name)
end

-- The session as its readers in codec.py take it apart.
local function row(s)
  local expires = expiry(s)
  return {s.name, s.epoch, s.length, integer(s.created), integer(s.active), s.title, s.title_source, s.owner,
    expires and integer(expires) or '', s.ttl and integer(s.ttl) or '', s.labels, s.last_role, s.preview,
    s.awaiting and '1' or '', s.reply and s.reply.id or '', s.reply and s.reply.author or '',
    s.reply and s.reply.model or '', s.reply and integer(s.reply.started) or ''}
end
