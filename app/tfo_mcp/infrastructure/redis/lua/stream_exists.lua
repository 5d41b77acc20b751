-- Returns whether a stream is kept: session, name.
return redis.call('EXISTS', stream_of(ARGV[2], ARGV[3]))
