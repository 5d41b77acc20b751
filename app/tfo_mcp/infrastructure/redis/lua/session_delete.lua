-- Deletes a session: id.
local document = redis.call('GET', P .. 'session:' .. ARGV[2])
if document then
  local session = cjson.decode(document)
  remove(ARGV[2], session.account, session.anonymous)
end
return 0
