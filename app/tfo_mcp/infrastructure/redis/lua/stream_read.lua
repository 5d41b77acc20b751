-- Returns the frames after a number, and asks for a message on the channel `wake` at the next change: session, name,
-- number, most frames, ms to listen, ms to keep, replica, the reader's claim or ''. Returns false if the stream is unknown
-- or another reader has claimed it, otherwise 'open', 'finished' or 'abandoned' (the lease of its writer has ended), and the
-- frames with their numbers.
local session, name = ARGV[2], ARGV[3]
local known = redis.call('HMGET', stream_of(session, name), 'account', 'done', 'writer')
if not known[1] then return false end
local reader = ARGV[9] ~= '' and redis.call('GET', P .. 'reader:' .. session)
if reader and reader ~= ARGV[9] then return false end
redis.call('SET', P .. 'followed:' .. session .. ':' .. name, 1, 'PX', ARGV[6])
keep_stream(session, name, known[1], tonumber(ARGV[7]))
redis.call('PEXPIRE', P .. 'reader:' .. session, ARGV[7])
local state = known[2] == '1' and 'finished' or (known[3] == ARGV[8] or is_alive(known[3])) and 'open' or 'abandoned'
local entries = redis.call('XRANGE', frames_of(session, name), '(' .. ARGV[4] .. '-0', '+', 'COUNT', ARGV[5])
local frames = {}
for _, entry in ipairs(entries) do frames[#frames + 1] = {string.match(entry[1], '^%d+'), entry[2][2]} end
return {state, frames}
