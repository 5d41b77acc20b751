-- Records the reader of a session's standalone stream: session, replica, reader and stream, whether the client resumes, ms
-- to keep. Returns 0 if another one reads it. The followers of the stream look again: another reader among them ends.
if ARGV[5] == '0' and reader_of(ARGV[2]) then return 0 end
redis.call('SET', P .. 'reader:' .. ARGV[2], ARGV[3] .. ' ' .. ARGV[4], 'PX', ARGV[6])
wake(ARGV[2], string.match(ARGV[4], ' (.*)$'))
return 1
