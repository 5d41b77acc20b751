-- Deletes expired sessions and returns their ids: idle ms, limit.
local expired = redis.call('ZRANGEBYSCORE', P .. 'all', '-inf', '(' .. integer(now - ARGV[2] * 1000), 'LIMIT', 0, ARGV[3])
local ids = {}
for _, member in ipairs(expired) do
  local space = string.find(member, ' ', 1, true)
  local id = string.sub(member, 1, space - 1)
  remove(id, string.sub(member, space + 2), string.sub(member, space + 1, space + 1))
  ids[#ids + 1] = id
end
return ids
