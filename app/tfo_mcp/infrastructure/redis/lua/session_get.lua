-- Returns a session's document and renews its idle time, false if it is unknown or has expired: id, idle ms.
local id, idle = ARGV[2], tonumber(ARGV[3])
local document = redis.call('GET', P .. 'session:' .. id)
if not document then return false end
local session = cjson.decode(document)
local used = tonumber(redis.call('ZSCORE', P .. 'idle:' .. session.account, id))
if used and used < now - idle * 1000 then return false end
touch(id, session.account, session.anonymous, idle)
return document
