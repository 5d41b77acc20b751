-- Appends a frame: session, name, frame, most frames of the stream, most bytes of the session and of the account, ms to
-- keep, token. Returns its number, 0 if the stream is unknown. Over a limit the oldest frames are dropped, never the new
-- one. A frame with the token of the latest one is the same: its writer has got no answer and appends it again.
local session, name, frame = ARGV[2], ARGV[3], ARGV[4]
local stream, frames = stream_of(session, name), frames_of(session, name)
local account = redis.call('HGET', stream, 'account')
if not account then return 0 end
local latest = redis.call('HMGET', stream, 'token', 'last')
if latest[1] == ARGV[9] then return tonumber(latest[2]) end
local number = redis.call('HINCRBY', stream, 'last', 1)
redis.call('HSET', stream, 'token', ARGV[9])
redis.call('XADD', frames, integer(number) .. '-0', 'f', frame, 't', integer(now))
for _, kept in ipairs(kept_by(session, account)) do
  redis.call('INCRBY', kept.bytes, #frame + OVERHEAD)
  redis.call('ZADD', kept.oldest, 'NX', integer(now), kept.prefix .. name)
end
if redis.call('XLEN', frames) > tonumber(ARGV[5]) then drop_oldest(session, name, account) end
for index, kept in ipairs(kept_by(session, account)) do
  local limit, skip = tonumber(ARGV[5 + index]), 0
  while tonumber(redis.call('GET', kept.bytes)) > limit do
    local found = redis.call('ZRANGE', kept.oldest, skip, skip)[1]
    if not found then break end
    local owner, own_name = session, found
    if kept.prefix ~= '' then
      local colon = string.find(found, ':', 1, true)
      owner, own_name = string.sub(found, 1, colon - 1), string.sub(found, colon + 1)
    end
    local length = redis.call('XLEN', frames_of(owner, own_name))
    if length == 0 then  -- its keys have expired
      redis.call('ZREM', kept.oldest, found)
    elseif owner == session and own_name == name and length == 1 then
      skip = 1
    else
      drop_oldest(owner, own_name, account)
    end
  end
end
keep_stream(session, name, account, tonumber(ARGV[8]))
wake(session, name)
return number
