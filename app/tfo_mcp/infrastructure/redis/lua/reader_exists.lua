-- Returns whether a stream has a reader: session, name.
local _, name = reader_of(ARGV[2])
return name == ARGV[3] and 1 or 0
