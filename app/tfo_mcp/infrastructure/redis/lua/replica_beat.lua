-- Renews a process's lease and its numbers of sessions with their own connection: replica, lease ms, pairs of account
-- ('' for all) and number. Returns the number of processes that are alive.
local replica, lease = ARGV[2], tonumber(ARGV[3])
redis.call('ZREMRANGEBYSCORE', P .. 'replicas', '-inf', '(' .. integer(now))
redis.call('ZADD', P .. 'replicas', integer(now + lease * 1000), replica)
redis.call('DEL', P .. 'standing:' .. replica)
for index = 4, #ARGV, 2 do
  redis.call('HSET', P .. 'standing:' .. replica, ARGV[index], ARGV[index + 1])
end
redis.call('PEXPIRE', P .. 'standing:' .. replica, lease)
redis.call('PEXPIRE', P .. 'replicas', 2 * lease)
return redis.call('ZCARD', P .. 'replicas')
