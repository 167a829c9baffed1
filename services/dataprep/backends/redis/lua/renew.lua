-- f, token, consumer: held, taken or cancelled
local token, entry = holder(ARGV[2])
if token ~= ARGV[3] then return 'taken' end
redis.call('XCLAIM', p .. 'queue', 'workers', ARGV[4], 0, entry, 'JUSTID')
if redis.call('HEXISTS', p .. 'doomed', ARGV[2]) == 1 then return 'cancelled' end
return 'held'
