-- Stores a session unless it was changed or ended since it was loaded: id, account, flag, document, idle ms, edition.
-- Returns 1, 0 if it was changed, or -1 if it has ended.
local id, account, flag, document, idle, edition = ARGV[2], ARGV[3], ARGV[4], ARGV[5], tonumber(ARGV[6]), ARGV[7]
local stored = redis.call('GET', P .. 'session:' .. id)
if edition ~= '0' then
  if not stored then return -1 end
  if cjson.decode(stored).edition ~= tonumber(edition) then return 0 end
end
redis.call('SET', P .. 'session:' .. id, document)
touch(id, account, flag, idle)
return 1
