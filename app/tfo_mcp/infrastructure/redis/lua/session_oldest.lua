-- Returns the ids of the longest idle sessions of an account: account, limit.
return redis.call('ZRANGE', P .. 'idle:' .. ARGV[2], 0, ARGV[3] - 1)
