-- A cached value: key, token of the caller, duration of its claim in ms. Returns the value, or the maker's token.
local value = redis.call('GET', P .. 'cache:' .. ARGV[2])
if value then return {value, ''} end
local claim = P .. 'making:' .. ARGV[2]
redis.call('SET', claim, ARGV[3], 'NX', 'PX', ARGV[4])
return {'', redis.call('GET', claim)}
