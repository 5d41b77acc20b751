-- Returns the entries after a number: epoch of the reader, number, most entries. Of another epoch all, and for a reader
-- without an epoch none. The answer: epoch, number of the latest entry that was read, entries of kind and content.
local epoch = redis.call('GET', P .. 'journal-epoch') or ''
local latest = redis.call('GET', P .. 'journal-number') or '0'
if ARGV[2] == '' then return {epoch, latest, {}} end
local after = epoch == ARGV[2] and ARGV[3] or '0'
local entries = redis.call('XRANGE', P .. 'journal', '(' .. after .. '-0', '+', 'COUNT', ARGV[4])
local found = {}
for _, entry in ipairs(entries) do found[#found + 1] = {entry[2][2], entry[2][4]} end
if #entries == tonumber(ARGV[4]) then latest = string.match(entries[#entries][1], '^%d+') end
return {epoch, latest, found}
