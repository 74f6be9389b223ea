-- The reply that is being written, and how it becomes a message.

local TEXT_BYTES, REPLY_BYTES = 1048576, 2097152

local function remembered_end(s, id)
  local text = remembered(s, reply_field(id))
  return text and cjson.decode(text)
end

-- What a writer or a stopper is told of an ended reply.
local function ended_row(ending)
  local receipts = {}
  for index = 1, ending.count do
    receipts[index] = {ending.ids[index], ending.first + index - 1, tonumber(ending.stamps[index])}
  end
  local last = ending.count > 0 and ending.first + ending.count - 1 or ending.first - 1
  return {'OK', 'ended', ending.how, ending.epoch, last, receipts}
end

-- What has been said: the joined text as a JSON string, and {"parts":[...]} or nil. Bodies of JSON strings join as
-- they are.
local function said(s)
  local texts, parts = {}, {}
  for _, chunk in ipairs(redis.call('LRANGE', s.keys.chunks, 0, -1)) do
    if chunk:byte(1) == 34 then texts[#texts + 1] = chunk:sub(2, -2) else parts[#parts + 1] = chunk end
  end
  return '"' .. table.concat(texts) .. '"', #parts > 0 and '{"parts":[' .. table.concat(parts, ',') .. ']}' or nil
end

-- Ends the reply of `s`. `how` is an Ending of domain/reply.py. Whatever was said becomes a message, unless `at`
-- points at messages in ARGV that are stored instead. Returns the answer to the caller.
local function end_reply(s, how, reason, attributes, at)
  local reply = s.reply
  local content, parts = said(s)
  local kept = how == 'finished' or how == 'failed' or content ~= '""' or parts ~= nil
  local bodies, first, ids, stamps = {}, s.length + 1, {}, {}
  if at and at <= #ARGV then
    bodies, first = push_messages(s, at)
  elseif kept then
    local body = '{"role":"assistant","id":' .. json(reply.id) .. ',"content":' .. content
    if reply.author ~= '' then body = body .. ',"author":' .. json(reply.author) end
    if reply.model ~= '' then body = body .. ',"model":' .. json(reply.model) end
    local status = how == 'failed' and 'failed' or how ~= 'finished' and 'interrupted' or nil
    if status then body = body .. ',"status":"' .. status .. '"' end
    if reason ~= '' then body = body .. ',"statusReason":' .. json(reason) end
    attributes = attributes ~= '' and attributes or parts
    local stamp = ',"timestamp":' .. integer(NOW) .. '}'
    local element = body .. (attributes and ',"attributes":' .. json(attributes) or '') .. stamp
    bodies = {body .. (attributes and ',"attributes":' .. attributes or '') .. stamp}
    redis.call('RPUSH', s.keys.messages, element)
    s.length = s.length + 1
  end
  redis.call('DEL', s.keys.reply, s.keys.chunks)
  s.reply = nil
  s.active = NOW
  if #bodies > 0 then
    look_at_last(s)
    for index, element in ipairs(redis.call('LRANGE', s.keys.messages, first - 1, -1)) do
      local message = decode(element) or {}
      ids[index], stamps[index] = message.id or '', integer(message.timestamp or NOW)
    end
  end
  s.awaiting = s.awaiting and reply.asked_again
  save(s)
  remember_end(s, reply, how, first, #bodies, ids, stamps)
  restart_clock(s)
  for index, body in ipairs(bodies) do
    local sequence = first + index - 1
    if index < #bodies then
      publish_message(s, role_of(body), body, sequence)
    else
      publish(s, 'complete', '{"sequence":' .. integer(sequence) .. ',"replyId":' .. json(reply.id) .. ','
        .. body:sub(2), s.epoch .. '.' .. integer(sequence))
    end
  end
  if #bodies == 0 then publish(s, 'complete', '{"replyId":' .. json(reply.id) .. '}') end
  publish_list(s, 'updated')
  return ended_row({how = how, epoch = s.epoch, first = first, count = #bodies, ids = ids, stamps = stamps})
end

-- Ends the reply whose lease is over. `waited` is for how many ms its writer could have reached the store.
local function end_if_lost(s, waited)
  if s.reply and NOW >= s.reply.lease_until and waited >= s.reply.lease then
    end_reply(s, 'lost', 'the writer was lost', '')
  end
end

-- The reply of `s` if `id` and `fence` are its own; else nil and what its writer is told.
local function held(s, id, fence)
  if s.reply and s.reply.id == id and s.reply.fence == fence then return s.reply end
  local ending = remembered_end(s, id)
  if ending then return nil, ended_row(ending) end
  return nil, {'REPLY_LOST'}
end
