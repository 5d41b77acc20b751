-- Deletes all streams of a session: session.
for _, name in ipairs(redis.call('ZRANGE', P .. 'streams:' .. ARGV[2], 0, -1)) do forget(ARGV[2], name) end
return redis.call('DEL', P .. 'streams:' .. ARGV[2], P .. 'oldest:' .. ARGV[2], P .. 'bytes:' .. ARGV[2], P .. 'reader:' .. ARGV[2])
