-- f, token, body
if holder(ARGV[2]) == ARGV[3] then
  local job, number = parts(ARGV[2])
  redis.call('HSET', p .. 'files:' .. job, number, ARGV[4])
  tell(job)
end
