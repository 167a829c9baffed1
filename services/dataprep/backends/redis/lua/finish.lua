-- f, token, body, now, iso: whether it was this worker's to finish
local token, entry = holder(ARGV[2])
if token ~= ARGV[3] then return 0 end
close(ARGV[2], ARGV[4], ARGV[5], ARGV[6])
drop(entry)
return 1
