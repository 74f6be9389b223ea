-- How replies and sessions end without a message.

-- An ended reply is remembered: how it ended, whose it was, what was stored. Its writer, who may not have heard of it,
-- is told again.
local function remember_end(s, reply, how, first, count, ids, stamps)
  redis.call('HSET', s.keys.today, reply_field(reply.id), cjson.encode({
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
  -- The least of its millisecond: what begins under the name at once must be newer. Unknown, the last one may be of it.
  local at = next_epoch(s.epoch, s.epoch and '0000') .. '.0'
  publish(s, 'deleted', '{}', at)
  redis.call('PUBLISH', LIST_CHANNEL, event('deleted', '{"name":' .. json(s.name) .. '}', at))
end

-- Does so for a session that went without us: expired, or removed by another program. Once.
local function forget_if_known(s)
  if redis.call('ZSCORE', ACTIVITY, s.name) or redis.call('ZSCORE', DUE, s.name) then forget(s) end
end
