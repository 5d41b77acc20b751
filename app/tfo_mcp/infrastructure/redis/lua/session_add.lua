-- Stores a new session if there is room: id, account, flag, document, idle ms, replica, limits of the account
-- and of all, standing sessions of the replica: of the account and all. An empty document: the replica keeps it itself.
-- Returns 'free', 'account' or 'total': the limit that is reached.
local id, account, flag, document, idle, replica = ARGV[2], ARGV[3], ARGV[4], ARGV[5], tonumber(ARGV[6]), ARGV[7]
local per_account, total = tonumber(ARGV[8]), tonumber(ARGV[9])
-- The replica's own number may be older than the one that it has stored by another call meanwhile.
local function own_standing(name, number)
  return math.max(tonumber(number), tonumber(redis.call('HGET', P .. 'standing:' .. replica, name)) or 0)
end
local own, own_total = own_standing(account, ARGV[10]), own_standing('', ARGV[11])
if redis.call('ZCARD', P .. 'idle:' .. account) + own + standing_elsewhere(replica, account) >= per_account then
  return 'account'
end
if redis.call('ZCARD', P .. 'all') + own_total + standing_elsewhere(replica, '') >= total then
  return 'total'
end
if document ~= '' then
  redis.call('SET', P .. 'session:' .. id, document)
  touch(id, account, flag, idle)
else  -- a session with its own connection, which this replica keeps itself
  redis.call('HSET', P .. 'standing:' .. replica, account, own + 1, '', own_total + 1)
end
return 'free'
