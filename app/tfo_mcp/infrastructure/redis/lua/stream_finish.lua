-- Marks a stream as complete: session, name.
if redis.call('EXISTS', stream_of(ARGV[2], ARGV[3])) == 1 then
  redis.call('HSET', stream_of(ARGV[2], ARGV[3]), 'done', 1)
  wake(ARGV[2], ARGV[3])
end
return 1
