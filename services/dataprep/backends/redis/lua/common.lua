-- What all scripts have. Every key begins with ARGV[1]: see `client.py` for the keys.
local p = ARGV[1]
local function parts(f) return string.match(f, '^(.*):(%d+)$') end
local function tell(what) redis.call('PUBLISH', p .. 'changes', what) end
local function enqueue(f) redis.call('XADD', p .. 'queue', '*', 'f', f) tell('work') end
local function drop(entry)
  redis.call('XACK', p .. 'queue', 'workers', entry)
  redis.call('XDEL', p .. 'queue', entry)
end
local function holder(f)
  local held = redis.call('HGET', p .. 'held', f)
  if not held then return nil end
  return string.match(held, '^(%S+) (%S+)$')
end
local function close(f, body, now, iso)
  local job, number = parts(f)
  local chain = p .. 'chain:' .. redis.call('HGET', p .. 'open', f)
  local first = redis.call('LINDEX', chain, 0) == f
  redis.call('LREM', chain, 1, f)
  local following = redis.call('LINDEX', chain, 0)
  if first and following then enqueue(following) end
  redis.call('HSET', p .. 'files:' .. job, number, body)
  for _, name in ipairs({'open', 'held', 'attempts', 'doomed'}) do redis.call('HDEL', p .. name, f) end
  redis.call('DEL', p .. 'bytes:' .. f)
  if redis.call('HINCRBY', p .. 'job:' .. job, 'open', -1) == 0 then
    redis.call('HSET', p .. 'job:' .. job, 'finished', iso)
    redis.call('ZADD', p .. 'finished', now, job)
  end
  tell(job)
end
