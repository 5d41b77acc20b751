-- Keeps a value: key, token of its maker, value, duration in ms (0: keep nothing), most bytes of all values.
local key, claim = ARGV[2], P .. 'making:' .. ARGV[2]
if redis.call('GET', claim) == ARGV[3] then redis.call('DEL', claim) end
local duration = tonumber(ARGV[5])
if duration == 0 then return end
local ends, sizes, total = P .. 'cache-ends', P .. 'cache-sizes', P .. 'cache-bytes'

local function drop(dropped)
  redis.call('DEL', P .. 'cache:' .. dropped)
  redis.call('ZREM', ends, dropped)
  local size = redis.call('HGET', sizes, dropped)
  if size then
    redis.call('HDEL', sizes, dropped)
    redis.call('DECRBY', total, size)
  end
end

drop(key)
for _, expired in ipairs(redis.call('ZRANGEBYSCORE', ends, '-inf', integer(now), 'LIMIT', 0, 100)) do drop(expired) end
local size = #ARGV[4] + 256
redis.call('SET', P .. 'cache:' .. key, ARGV[4], 'PX', duration)
redis.call('ZADD', ends, integer(now + duration * 1000), key)
redis.call('HSET', sizes, key, size)
local bytes = redis.call('INCRBY', total, size)
while bytes > tonumber(ARGV[6]) do
  local first = redis.call('ZRANGE', ends, 0, 0)[1]
  if not first then
    redis.call('DEL', sizes, total)
    break
  end
  drop(first)
  bytes = tonumber(redis.call('GET', total))
end
