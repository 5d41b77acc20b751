-- Shared by all scripts: the prefix of the keys, the time, and the sessions of processes that are alive.
local P = ARGV[1]
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]  -- microseconds

local function alive()
  return redis.call('ZRANGEBYSCORE', P .. 'replicas', now, '+inf')
end

local function is_alive(replica)
  local lease = tonumber(redis.call('ZSCORE', P .. 'replicas', replica))
  return lease and lease >= now
end

-- Sessions with their own connection, of one account or ('') of all, that other processes hold.
local function standing_elsewhere(replica, account)
  local sum = 0
  for _, other in ipairs(alive()) do
    if other ~= replica then
      sum = sum + (tonumber(redis.call('HGET', P .. 'standing:' .. other, account)) or 0)
    end
  end
  return sum
end

local function integer(number)
  return string.format('%d', number)
end

-- Renews the idle time of a session: its document, its place among those of its account and among all.
-- The keys outlive the idle time by a minute, so they are renewed every half minute, not by each call.
local function touch(id, account, flag, idle)
  local member, keep = id .. ' ' .. flag .. account, idle + 60000
  local own, document = P .. 'idle:' .. account, P .. 'session:' .. id
  redis.call('ZADD', P .. 'all', integer(now), member)
  if redis.call('ZADD', own, integer(now), id) == 1 then
    redis.call('ZINCRBY', P .. 'counts:all', 1, account)
    if flag == '1' then redis.call('ZINCRBY', P .. 'counts:anonymous', 1, account) end
  elseif redis.call('PTTL', document) > keep - 30000 then
    return
  end
  for _, key in ipairs({document, own, P .. 'all', P .. 'counts:all', P .. 'counts:anonymous'}) do
    redis.call('PEXPIRE', key, keep)
  end
end

local function remove(id, account, flag)
  redis.call('DEL', P .. 'session:' .. id)
  redis.call('ZREM', P .. 'all', id .. ' ' .. flag .. account)
  if redis.call('ZREM', P .. 'idle:' .. account, id) == 1 then
    for _, key in ipairs({P .. 'counts:all', P .. 'counts:anonymous'}) do
      if redis.call('ZSCORE', key, account) and tonumber(redis.call('ZINCRBY', key, -1, account)) <= 0 then
        redis.call('ZREM', key, account)
      end
    end
  end
end

-- The replica and the stream of the reader of a session's standalone stream, nothing if none reads it.
local function reader_of(session)
  local reader = redis.call('GET', P .. 'reader:' .. session)
  local replica, name = string.match(reader or '', '^(%S+) %S+ (.*)$')
  if replica and is_alive(replica) then return replica, name end
end

-- Streams: the frames, what is known of one, and for a session and an account the oldest frame of each stream.
local OVERHEAD = 128  -- bytes of memory of a frame in addition to its contents

local function frames_of(session, name) return P .. 'frames:' .. session .. ':' .. name end
local function stream_of(session, name) return P .. 'stream:' .. session .. ':' .. name end

local function wake(session, name)
  if redis.call('EXISTS', P .. 'followed:' .. session .. ':' .. name) == 1 then
    redis.call('PUBLISH', P .. 'wake', session .. ':' .. name)
  end
end

local function kept_by(session, account)
  return {
    {oldest = P .. 'oldest:' .. session, bytes = P .. 'bytes:' .. session, prefix = ''},
    {oldest = P .. 'account-oldest:' .. account, bytes = P .. 'account-bytes:' .. account, prefix = session .. ':'},
  }
end

local function drop_oldest(session, name, account)
  local frames = frames_of(session, name)
  local first = redis.call('XRANGE', frames, '-', '+', 'COUNT', 2)
  redis.call('XDEL', frames, first[1][1])
  for _, kept in ipairs(kept_by(session, account)) do
    redis.call('DECRBY', kept.bytes, #first[1][2][2] + OVERHEAD)
    if first[2] then
      redis.call('ZADD', kept.oldest, first[2][2][4], kept.prefix .. name)
    else
      redis.call('ZREM', kept.oldest, kept.prefix .. name)
    end
  end
end

local function forget(session, name)
  local account = redis.call('HGET', stream_of(session, name), 'account')
  if account then
    while redis.call('XLEN', frames_of(session, name)) > 0 do drop_oldest(session, name, account) end
  end
  redis.call('DEL', frames_of(session, name), stream_of(session, name))
  redis.call('ZREM', P .. 'streams:' .. session, name)
  wake(session, name)
end

local function keep_stream(session, name, account, keep)
  local session_keys = {P .. 'streams:' .. session, P .. 'oldest:' .. session, P .. 'bytes:' .. session}
  for _, key in ipairs({frames_of(session, name), stream_of(session, name), unpack(session_keys)}) do
    redis.call('PEXPIRE', key, keep)
  end
  redis.call('PEXPIRE', P .. 'account-oldest:' .. account, keep)
  redis.call('PEXPIRE', P .. 'account-bytes:' .. account, keep)
end
