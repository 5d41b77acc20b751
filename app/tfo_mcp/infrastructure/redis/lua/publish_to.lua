-- Publishes a message for one process: channel, process, message. Returns the number of receivers; -1 if the process is
-- alive, but does not receive.
local received = redis.call('PUBLISH', P .. ARGV[2], ARGV[4])
if received == 0 and is_alive(ARGV[3]) then
  return -1
end
return received
