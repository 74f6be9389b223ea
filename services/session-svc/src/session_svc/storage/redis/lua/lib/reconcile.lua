-- What other programs did to a session is found, mended and announced.

local ANNOUNCED_MESSAGES, ANNOUNCED_BYTES = 100, 1048576

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

-- Opens and reconciles a session that must exist. Returns it, or nil and a failure.
local function existing(name)
  local s, failure = open(name)
  if failure then return nil, failure end
  if not s.exists then
    forget_if_known(s)
    return nil, {'SESSION_NOT_FOUND'}
  end
  reconcile(s)
  return s
end
