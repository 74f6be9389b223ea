-- What every script begins with: its arguments' first two, the moment, and how values are written.
--
-- ARGV of every script: 1 salt (4 random [0-9a-z], for a new epoch), 2 default ttl in ms ('' none), then its own.
-- Every script returns {'OK', ...} or {REASON, detail...}, where REASON is a name of ErrorReason.

local SALT, DEFAULT_TTL = ARGV[1], tonumber(ARGV[2])
local ACTIVITY, DUE = 'sessions:activity', 'sessions:due'
local DAY = 86400000
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

-- An epoch greater than `last`; `salt` instead of the script's own says where it stands among those of its millisecond.
local function next_epoch(last, salt)
  local last_ms = last and #last > 4 and tonumber(last:sub(1, -5), 36) or 0
  local number, digits = math.max(NOW, last_ms + 1), ''
  while number > 0 do
    local digit = number % 36
    digits = string.char(digit + (digit < 10 and 48 or 87)) .. digits
    number = (number - digit) / 36
  end
  return digits .. (salt or SALT)
end

-- What an element says, when it is a message; else nil: its readers show it as UNREADABLE.
local function decode(element)
  local ok, message = pcall(cjson.decode, element)
  if ok and type(message) == 'table' and ROLES[message.role] and type(message.content) == 'string' then
    return message
  end
end
