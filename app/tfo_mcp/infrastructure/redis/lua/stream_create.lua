-- Creates a stream: session, name, account, replica, most streams of the session, ms to keep.
-- Over the limit, the oldest finished stream is dropped.
local session, name = ARGV[2], ARGV[3]
redis.call('HSET', stream_of(session, name), 'account', ARGV[4], 'writer', ARGV[5], 'last', 0, 'done', 0)
redis.call('ZADD', P .. 'streams:' .. session, integer(now), name)
if redis.call('ZCARD', P .. 'streams:' .. session) > tonumber(ARGV[6]) then
  for _, other in ipairs(redis.call('ZRANGE', P .. 'streams:' .. session, 0, -1)) do
    if redis.call('HGET', stream_of(session, other), 'done') ~= '0' then
      forget(session, other)
      break
    end
  end
end
keep_stream(session, name, ARGV[4], tonumber(ARGV[7]))
return 1
