-- The elements of a session's list.

local READ_BYTES = 3145728
local PREVIEW_CHARACTERS, TITLE_CHARACTERS, TITLE_SEARCH = 120, 60, 100

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
