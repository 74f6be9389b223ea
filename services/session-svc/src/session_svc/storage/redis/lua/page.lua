-- Reads messages from one sequence on.
-- ARGV: 3 name, 4 epoch ('' any), 5 first sequence (0 with step -1: the head), 6 limit, 7 step (1 or -1).
-- Returns 'OK', epoch, length, sequence of the first element, elements.
local s, failure = existing(ARGV[3])
if failure then return failure end
local first, limit, step = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
if step == -1 and first == 0 then first = s.length end
if (ARGV[4] ~= '' and ARGV[4] ~= s.epoch) or first > s.length + 1 then return {'POSITION_CONFLICT', position(s)} end
-- Downwards from where the next message will be is downwards from the head.
if step == -1 then first = math.min(first, s.length) end
local last = step == 1 and math.min(s.length, first + limit - 1) or math.max(1, first - limit + 1)
return {'OK', s.epoch, s.length, first, read(s, first - 1, last - 1, step)}
