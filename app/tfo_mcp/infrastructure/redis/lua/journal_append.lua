-- Appends an entry and publishes it: kind, content, epoch for a new journal, most entries, most age in ms. Returns
-- the number of processes that receive it at once.
local journal = P .. 'journal'
local epoch = redis.call('GET', P .. 'journal-epoch')
if not epoch then
  epoch = ARGV[4]
  redis.call('SET', P .. 'journal-epoch', epoch)
  redis.call('SET', P .. 'journal-number', 0)
end
local number = redis.call('INCR', P .. 'journal-number')
redis.call('XADD', journal, 'MAXLEN', ARGV[5], integer(number) .. '-0', 'k', ARGV[2], 'c', ARGV[3], 't', integer(now))
local oldest = redis.call('XRANGE', journal, '-', '+', 'COUNT', 1)[1]
while oldest and tonumber(oldest[2][6]) < now - ARGV[6] * 1000 do
  redis.call('XDEL', journal, oldest[1])
  oldest = redis.call('XRANGE', journal, '-', '+', 'COUNT', 1)[1]
end
redis.call('PEXPIRE', journal, ARGV[6])
return redis.call('PUBLISH', P .. 'journal', epoch .. ' ' .. integer(number) .. ' ' .. ARGV[2] .. '\n' .. ARGV[3])
