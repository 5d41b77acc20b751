-- GCRA, as domain/rates.admit, by the clock of Redis: name, seconds between two units, burst, cost.
-- Returns allowed, remaining, and retry_after and reset_after in seconds.
local key, interval, burst, cost = P .. 'rate:' .. ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local at = now / 1000000
local full_at = math.max(tonumber(redis.call('GET', key)) or 0, at)
local used = full_at + cost * interval
local wait = used - at - burst * interval
local allowed = wait <= 1e-6  -- the clock counts microseconds
if allowed then full_at = used end
local remaining = math.max(0, math.floor((burst * interval - (full_at - at)) / interval + 1e-6))
if cost > 0 and allowed then
  redis.call('SET', key, string.format('%.17g', full_at), 'PX', integer(math.ceil((full_at - at) * 1000) + 1))
end
local function text(number) return string.format('%.17g', number) end
return {allowed and 1 or 0, remaining, text(math.max(0, wait)), text(full_at - at)}
