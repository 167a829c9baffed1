-- consumer, token, lease in ms: nil, or f, attempts, doomed or 0, body, sha256, head
local consumer, token, lease = ARGV[2], ARGV[3], ARGV[4]
for _ = 1, 100 do
  local found = redis.call('XAUTOCLAIM', p .. 'queue', 'workers', consumer, lease, '0-0', 'COUNT', 1)[2]
  if #found == 0 then
    local read = redis.call(
      'XREADGROUP', 'GROUP', 'workers', consumer, 'COUNT', 1, 'STREAMS', p .. 'queue', '>')
    if not read then return nil end
    found = read[1][2]
  end
  local entry, f = found[1][1], found[1][2][2]
  if redis.call('HEXISTS', p .. 'open', f) == 1 then
    local job, number = parts(f)
    redis.call('HSET', p .. 'held', f, token .. ' ' .. entry)
    local attempts = redis.call('HINCRBY', p .. 'attempts', f, 1)
    return {f, attempts, redis.call('HEXISTS', p .. 'doomed', f),
      redis.call('HGET', p .. 'files:' .. job, number), redis.call('HGET', p .. 'sources:' .. job, number),
      redis.call('HGET', p .. 'job:' .. job, 'head')}
  end
  drop(entry)  -- it was cancelled before anybody had it
end
return nil
