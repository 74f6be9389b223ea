-- Stands before every script. Nothing here writes but `reconcile`, `restart_clock`, `forget` and the publish_ functions.
--
-- ARGV of every script: 1 salt (4 random [0-9a-z], for a new epoch), 2 default ttl in ms ('' none), then its own.
-- Every script returns {'OK', ...} or {REASON, detail...}, where REASON is a name of ErrorReason.

local SALT, DEFAULT_TTL = ARGV[1], tonumber(ARGV[2])
local ACTIVITY, DUE, LIST_CHANNEL = 'sessions:activity', 'sessions:due', 'ai-chat:sessions'
local DAY, DATA_VERSION = 86400000, 1
local ANNOUNCED_MESSAGES, ANNOUNCED_BYTES, READ_BYTES = 100, 1048576, 3145728
local PREVIEW_CHARACTERS, TITLE_CHARACTERS, TITLE_SEARCH = 120, 60, 100
local ROLES = {user = true, assistant = true, system = true, tool = true}

local clock = redis.call('TIME')
local NOW = clock[1] * 1000 + math.floor(clock[2] / 1000)
local TODAY = math.floor(NOW / DAY)

local function integer(number) return string.format('%.0f', number) end

local function json(text) return cjson.encode(text) end

-- The first `n` characters of UTF-8 `text`; bytes that are no UTF-8 count as some.
local function characters(text, n)
  local at, count = 1, 0
  while at <= #text and count < n do
    local byte = text:byte(at)
    at = at + (byte < 0x80 and 1 or byte < 0xE0 and 2 or byte < 0xF0 and 3 or 4)
    count = count + 1
  end
  return text:sub(1, at - 1)
end

local function next_epoch(last)
  local last_ms = last and #last > 4 and tonumber(last:sub(1, -5), 36) or 0
  local number, digits = math.max(NOW, last_ms + 1), ''
  while number > 0 do
    local digit = number % 36
    digits = string.char(digit + (digit < 10 and 48 or 87)) .. digits
    number = (number - digit) / 36
  end
  return digits .. SALT
end

-- What an element says, when it is a message; else nil: its readers show it as UNREADABLE.
local function decode(element)
  local ok, message = pcall(cjson.decode, element)
  if ok and type(message) == 'table' and ROLES[message.role] and type(message.content) == 'string' then
    return message
  end
end

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

-- A reply as an object: its id under `name`, author and model where it has them, then `rest`.
local function reply_json(reply, name, rest)
  local text = '{"' .. name .. '":' .. json(reply.id)
  if reply.author ~= '' then text = text .. ',"author":' .. json(reply.author) end
  if reply.model ~= '' then text = text .. ',"model":' .. json(reply.model) end
  return text .. (rest or '') .. '}'
end

-- The Session object of the contract's section 5, and `ttl` where the session has its own.
local function session_json(s)
  local fields = {
    '"name":' .. json(s.name), '"lastMessage":' .. integer(s.active), '"messageCount":' .. integer(s.length),
    '"createdAt":' .. integer(s.created),
  }
  local function add(name, value) fields[#fields + 1] = '"' .. name .. '":' .. value end
  if s.title ~= '' then
    add('title', json(s.title))
    add('titleSource', json(s.title_source))
  end
  if s.owner ~= '' then add('owner', json(s.owner)) end
  local expires = expiry(s)
  if expires then add('expiresAt', integer(expires)) end
  if s.ttl then add('ttl', integer(s.ttl)) end
  if s.labels ~= '' then add('labels', s.labels) end
  if s.last_role ~= '' then add('lastRole', json(s.last_role)) end
  if s.preview ~= '' then add('preview', json(s.preview)) end
  if s.awaiting then add('awaitingReply', 'true') end
  if s.reply then add('reply', reply_json(s.reply, 'id', ',"startedAt":' .. integer(s.reply.started))) end
  return '{' .. table.concat(fields, ',') .. '}'
end

local function event(type, payload, at)
  return '{"type":"' .. type .. '","payload":' .. payload .. ',"timestamp":' .. integer(NOW)
    .. ',"position":"' .. at .. '"}'
end

local function publish(s, type, payload, at)
  redis.call('PUBLISH', 'ai-chat:stream:' .. s.name, event(type, payload, at or position(s)))
end

local function publish_list(s, type)
  redis.call('PUBLISH', LIST_CHANNEL, event(type, session_json(s), position(s)))
end

-- `body` is a message object's text without sequence.
local function publish_message(s, role, body, sequence)
  publish(s, role == 'user' and 'user' or 'message', '{"sequence":' .. integer(sequence) .. ',' .. body:sub(2),
    s.epoch .. '.' .. integer(sequence))
end

local function seen(s)
  if s.length == 0 then return '0:' end
  return integer(s.length) .. ':' .. redis.sha1hex(redis.call('LINDEX', s.keys.messages, -1))
end

-- Sets what the session's list of messages says of it: last role and preview.
local function look_at_last(s)
  local element = redis.call('LINDEX', s.keys.messages, -1)
  local message = element and decode(element)
  s.last_role = message and message.role or ''
  s.preview = characters(message and message.content or element or '', PREVIEW_CHARACTERS)
end

-- The automatic title: the first line of the first USER message; '' when there is none among the first messages.
local function automatic_title(s)
  for _, element in ipairs(redis.call('LRANGE', s.keys.messages, 0, TITLE_SEARCH - 1)) do
    local message = decode(element)
    if message and message.role == 'user' then
      local line = message.content:match('^%s*([^\r\n]*)') or ''
      return characters(line, TITLE_CHARACTERS)
    end
  end
  return ''
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

-- Announces the messages from `first` on, found appended by another program; false when there are too many or
-- they are not plain ones.
local function announce(s, first)
  if s.length - first + 1 > ANNOUNCED_MESSAGES then return false end
  local messages, bytes = {}, 0
  for _, element in ipairs(redis.call('LRANGE', s.keys.messages, first - 1, -1)) do
    local message = decode(element)
    bytes = bytes + #element
    if not message or bytes > ANNOUNCED_BYTES then return false end
    for field in pairs(message) do
      if field ~= 'role' and field ~= 'content' then return false end
    end
    messages[#messages + 1] = message
  end
  for index, message in ipairs(messages) do
    local sequence = first + index - 1
    local id = s.epoch .. '.' .. integer(sequence)
    publish_message(s, message.role,
      '{"id":"' .. id .. '","role":"' .. message.role .. '","content":' .. json(message.content) .. '}', sequence)
  end
  return true
end

local function answered(s, first)
  for _, element in ipairs(redis.call('LRANGE', s.keys.messages, first - 1, -1)) do
    local message = decode(element)
    if message and message.role == 'assistant' then return true end
  end
  return false
end

-- Compares the session with what was last known of it, and mends and announces what another program changed.
-- Comes after every check that refuses data, and before everything else.
local function reconcile(s)
  local known, digest = s.seen:match('^(%d+):(%x*)$')
  known = s.epoch and tonumber(known)
  local listed = tonumber(redis.call('ZSCORE', ACTIVITY, s.name) or '')
  local continues = known and known <= s.length
    and (known == 0 or redis.sha1hex(redis.call('LINDEX', s.keys.messages, known - 1)) == digest)
  local whole = s.named and s.created and s.created <= NOW and s.active and s.active == listed and s.active <= NOW
  if continues and known == s.length and whole then return end

  -- Never backwards: a page of the list that was read holds nothing twice.
  local active = math.max(s.active or s.created or 0, listed or 0)
  s.active = active > 0 and math.min(NOW, active) or NOW
  s.created = math.min(NOW, s.created or s.active)
  local reset = not continues
  local grown = continues and s.length > known
  if reset then
    s.epoch = next_epoch(s.epoch)
    s.awaiting = false
  elseif grown and s.awaiting then
    s.awaiting = not answered(s, known + 1)
  end
  if reset or grown then
    look_at_last(s)
    title_if_none(s, s.title == '' and automatic_title(s) or '')
  end
  local hash_expires = redis.call('PEXPIRETIME', s.keys.metadata)
  save(s)
  -- The other program restarts the clock of the list alone; the hash must not go before it.
  local list_expires = redis.call('PEXPIRETIME', s.keys.messages)
  if list_expires == -1 then
    redis.call('PERSIST', s.keys.metadata)
  elseif list_expires > 0 and (hash_expires == -2 or (hash_expires > 0 and hash_expires < list_expires)) then
    redis.call('PEXPIREAT', s.keys.metadata, integer(list_expires))
  end
  schedule(s)
  if reset or (grown and not announce(s, known + 1)) then publish(s, 'reset', '{}') end
  publish_list(s, listed and 'updated' or 'created')
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

-- An ended reply is remembered among the answered requests, under 'reply/<id>': how it ended, whose it was, what was
-- stored. Its writer, who may not have heard of it, is told again.
local function remember_end(s, reply, how, first, count, ids, stamps)
  redis.call('HSET', s.keys.today, 'reply/' .. reply.id, cjson.encode({
    how = how, writer = reply.writer, epoch = s.epoch, first = first, count = count, ids = ids, stamps = stamps,
  }))
end

-- Drops the reply in progress without a message: its log is gone, and its writer must not begin it anew in the next.
local function abandon_reply(s)
  if not s.reply then return end
  redis.call('DEL', s.keys.reply, s.keys.chunks)
  remember_end(s, s.reply, 'lost', s.length + 1, 0, {}, {})
  publish(s, 'complete', '{"replyId":' .. json(s.reply.id) .. '}')
  s.reply = nil
end

-- Removes every trace of the session and announces that it is gone.
local function forget(s)
  redis.call('DEL', s.keys.messages, s.keys.metadata, s.keys.reply, s.keys.chunks, s.keys.today, s.keys.yesterday)
  redis.call('ZREM', ACTIVITY, s.name)
  redis.call('ZREM', DUE, s.name)
  local at = next_epoch(s.epoch) .. '.0'
  publish(s, 'deleted', '{}', at)
  redis.call('PUBLISH', LIST_CHANNEL, event('deleted', '{"name":' .. json(s.name) .. '}', at))
end

-- Opens and reconciles a session that must exist. Returns it, or nil and a failure.
local function existing(name)
  local s, failure = open(name)
  if failure then return nil, failure end
  if not s.exists then return nil, {'SESSION_NOT_FOUND'} end
  reconcile(s)
  return s
end

-- `expected`: '*' anything, '' no messages, else a position. Returns a failure when the head is elsewhere.
local function conflict(s, expected)
  if expected == '*' or (expected == '' and s.length == 0) then return end
  if not s.exists then return {'POSITION_CONFLICT', ''} end
  if expected ~= position(s) then return {'POSITION_CONFLICT', position(s)} end
end

-- The session as its readers in codec.py take it apart.
local function row(s)
  local expires = expiry(s)
  return {s.name, s.epoch, s.length, integer(s.created), integer(s.active), s.title, s.title_source, s.owner,
    expires and integer(expires) or '', s.ttl and integer(s.ttl) or '', s.labels, s.last_role, s.preview,
    s.awaiting and '1' or '', s.reply and s.reply.id or '', s.reply and s.reply.author or '',
    s.reply and s.reply.model or '', s.reply and integer(s.reply.started) or ''}
end

-- Pushes messages given in ARGV from `at` on, three arguments each: element without its closing brace, the same for
-- events ('' alike), timestamp ('' now). The first write of a new session: a full server refuses only the first of a
-- script. Returns the texts for events and the sequence of the first.
local function push_messages(s, at)
  local first, elements, events = s.length + 1, {}, {}
  while at + 2 <= #ARGV do
    local stamp = ',"timestamp":' .. (ARGV[at + 2] ~= '' and ARGV[at + 2] or integer(NOW)) .. '}'
    elements[#elements + 1] = ARGV[at] .. stamp
    events[#events + 1] = (ARGV[at + 1] ~= '' and ARGV[at + 1] or ARGV[at]) .. stamp
    at = at + 3
  end
  if #elements > 0 then redis.call('RPUSH', s.keys.messages, unpack(elements)) end
  s.length = s.length + #elements
  return events, first
end

-- Our own elements begin with their role: codec.py writes them.
local function role_of(body) return body:match('^{"role":"(%a+)"') end

-- Makes a session that does not exist yet one that does; its caller saves it.
local function found(s, owner)
  s.exists, s.epoch, s.created, s.owner = true, next_epoch(s.epoch), NOW, owner
end

-- Elements from index `first` (from 0) to `last` and no more than `budget` bytes (about 3 MiB), but at least one; with
-- `step` -1 backwards from `first` down to `last`.
local function read(s, first, last, step, budget)
  budget = budget or READ_BYTES
  local elements, bytes, at, chunk = {}, 0, first, 16
  while (last - at) * step >= 0 do
    local stop = step == 1 and math.min(last, at + chunk - 1) or math.max(last, at - chunk + 1)
    local part = redis.call('LRANGE', s.keys.messages, math.min(at, stop), math.max(at, stop))
    for index = 1, #part do
      local element = part[step == 1 and index or #part - index + 1]
      bytes = bytes + #element
      if bytes > budget and #elements > 0 then return elements end
      elements[#elements + 1] = element
    end
    at = stop + step
    chunk = math.min(chunk * 2, 256)
  end
  return elements
end
