-- Ends a process's lease: replica.
redis.call('ZREM', P .. 'replicas', ARGV[2])
return redis.call('DEL', P .. 'standing:' .. ARGV[2])
