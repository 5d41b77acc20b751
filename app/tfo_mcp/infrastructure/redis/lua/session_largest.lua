-- Returns the account with the most sessions that can be ended: 'all' or 'anonymous'.
return redis.call('ZREVRANGE', P .. 'counts:' .. ARGV[2], 0, 0)[1] or false
