-- f, token, body
local token, entry = holder(ARGV[2])
if token ~= ARGV[3] then return end
local job, number = parts(ARGV[2])
redis.call('HSET', p .. 'files:' .. job, number, ARGV[4])
redis.call('HDEL', p .. 'held', ARGV[2])
drop(entry)
enqueue(ARGV[2])
tell(job)
