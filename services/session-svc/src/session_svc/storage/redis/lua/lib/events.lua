-- What is published, and how it is written.

local LIST_CHANNEL = 'ai-chat:sessions'

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
