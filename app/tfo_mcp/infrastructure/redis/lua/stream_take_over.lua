-- Continues a stream that is finished or whose writer was killed: session, name, replica. Returns whether it does.
local stream = stream_of(ARGV[2], ARGV[3])
local known = redis.call('HMGET', stream, 'done', 'writer')
if not known[1] or (known[1] == '0' and is_alive(known[2])) then return 0 end
redis.call('HSET', stream, 'done', 0, 'writer', ARGV[4])
return 1
