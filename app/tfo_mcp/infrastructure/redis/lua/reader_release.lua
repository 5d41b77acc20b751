-- Removes a reader unless another one has claimed since: session, replica, reader and stream.
local key = P .. 'reader:' .. ARGV[2]
if redis.call('GET', key) == ARGV[3] .. ' ' .. ARGV[4] then redis.call('DEL', key) end
return 1
