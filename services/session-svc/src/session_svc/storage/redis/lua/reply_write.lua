-- Adds chunks to a reply and renews its lease; without chunks it only renews.
-- ARGV: 3 name, 4 reply id, 5 fence, 6 frames accepted before these, then for each chunk: its JSON (a string, or an
--       object {type, data}), how many frames it holds, its bytes.
-- Returns 'OK', 'written', frames accepted; or 'OK', 'ended' and so on. A repetition of what is stored already changes
-- nothing.
local s, failure = open(ARGV[3])
if failure then return failure end
if not s.exists then return {'REPLY_LOST'} end
reconcile(s)
local reply, answer = held(s, ARGV[4], ARGV[5])
if not reply then return answer end

local before, frames = tonumber(ARGV[6]), 0
for at = 7, #ARGV, 3 do frames = frames + tonumber(ARGV[at + 1]) end
if frames > 0 and before + frames == reply.frames then return {'OK', 'written', reply.frames} end
if frames > 0 and before ~= reply.frames then return {'REPLY_LOST'} end
for at = 7, #ARGV, 3 do
  local bytes, is_text = tonumber(ARGV[at + 2]), ARGV[at]:byte(1) == 34
  reply.bytes = reply.bytes + bytes
  if is_text then reply.text_bytes = reply.text_bytes + bytes end
  if reply.text_bytes > TEXT_BYTES or reply.bytes > REPLY_BYTES then
    return end_reply(s, 'large', 'the reply exceeded its size', '')
  end
  -- Nothing is nothing to keep or to tell: it only counts as a frame.
  if ARGV[at] ~= '""' then
    local number = redis.call('RPUSH', s.keys.chunks, ARGV[at])
    local place = ',"replyId":' .. json(reply.id) .. ',"from":' .. integer(number - 1)
      .. ',"to":' .. integer(number) .. '}'
    if is_text then
      publish(s, 'chunk', '{"content":' .. ARGV[at] .. place)
    else
      publish(s, 'part', ARGV[at]:sub(1, -2) .. place)
    end
  end
end
reply.frames = reply.frames + frames
reply.lease_until = NOW + reply.lease
redis.call('HSET', s.keys.reply, 'frames', integer(reply.frames), 'textBytes', integer(reply.text_bytes),
  'bytes', integer(reply.bytes), 'leaseUntil', integer(reply.lease_until))
redis.call('ZADD', DUE, integer(reply.lease_until), s.name)
return {'OK', 'written', reply.frames}
