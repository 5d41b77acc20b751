-- Returns the number of sessions that this process does not keep itself: account ('' for all), replica.
local key = ARGV[2] == '' and P .. 'all' or P .. 'idle:' .. ARGV[2]
return redis.call('ZCARD', key) + standing_elsewhere(ARGV[3], ARGV[2])
