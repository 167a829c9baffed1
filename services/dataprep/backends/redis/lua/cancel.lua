-- now, iso, then for each file: f, body; how many were open
local count = 0
for at = 4, #ARGV, 2 do
  local f, body = ARGV[at], ARGV[at + 1]
  if redis.call('HEXISTS', p .. 'open', f) == 1 then
    count = count + 1
    local held, tried = holder(f), redis.call('HEXISTS', p .. 'attempts', f) == 1
    if held or tried then
      redis.call('HSET', p .. 'doomed', f, 1)
      if not held then
        local job, number = parts(f)
        redis.call('HSET', p .. 'files:' .. job, number, body)
        tell(job)
      end
      tell(f)
    else
      close(f, body, ARGV[2], ARGV[3])
    end
  end
end
return count
