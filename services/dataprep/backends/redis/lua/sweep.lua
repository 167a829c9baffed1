-- oldest, kept: forgets finished jobs
local old = redis.call('ZRANGEBYSCORE', p .. 'finished', '-inf', '(' .. ARGV[2], 'LIMIT', 0, 1000)
local beyond = redis.call('ZCARD', p .. 'finished') - tonumber(ARGV[3])
if beyond > 0 then
  for _, job in ipairs(redis.call('ZRANGE', p .. 'finished', 0, math.min(beyond, 1000) - 1)) do
    table.insert(old, job)
  end
end
for _, job in ipairs(old) do
  redis.call('DEL', p .. 'job:' .. job, p .. 'files:' .. job, p .. 'sources:' .. job)
  redis.call('ZREM', p .. 'jobs', job)
  redis.call('ZREM', p .. 'finished', job)
end
