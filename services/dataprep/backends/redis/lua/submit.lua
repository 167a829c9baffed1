-- job, now, iso, head, limit, then for each file: document or '', body, sha256; how many were accepted or -1
local job, now, iso, head, limit = ARGV[2], ARGV[3], ARGV[4], ARGV[5], tonumber(ARGV[6])
if redis.call('EXISTS', p .. 'job:' .. job) == 1 then return 0 end  -- sent again, its reply was lost
local open = 0
for at = 7, #ARGV, 3 do if ARGV[at] ~= '' then open = open + 1 end end
if redis.call('HLEN', p .. 'open') + open > limit then return -1 end
redis.call('HSET', p .. 'job:' .. job, 'made', iso, 'head', head, 'open', open)
redis.call('ZADD', p .. 'jobs', now, job)
local number = 0
for at = 7, #ARGV, 3 do
  local document, f = ARGV[at], job .. ':' .. number
  redis.call('HSET', p .. 'files:' .. job, number, ARGV[at + 1])
  redis.call('HSET', p .. 'sources:' .. job, number, ARGV[at + 2])
  if document ~= '' then
    redis.call('PERSIST', p .. 'bytes:' .. f)
    redis.call('HSET', p .. 'open', f, document)
    if redis.call('RPUSH', p .. 'chain:' .. document, f) == 1 then enqueue(f) end
  end
  number = number + 1
end
if open == 0 then
  redis.call('HSET', p .. 'job:' .. job, 'finished', iso)
  redis.call('ZADD', p .. 'finished', now, job)
end
return open
