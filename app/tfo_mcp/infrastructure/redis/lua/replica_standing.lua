-- Stores a process's numbers of sessions with their own connection: replica, account, its number, that of all.
local key = P .. 'standing:' .. ARGV[2]
if redis.call('EXISTS', key) == 1 then redis.call('HSET', key, ARGV[3], ARGV[4], '', ARGV[5]) end
return 1
