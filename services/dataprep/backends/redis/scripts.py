"""The Redis job store's changes, each one Lua script: it happens as a whole, and in one round trip.

Every key begins with ARGV[1], a hash tag, so that a cluster keeps them together. A file's name is `f`, the
job's id, a colon and its number.

job:<id>        hash: made, head (the order), open (how many files are), finished
files:<id>      hash: number > JobFile, as JSON
sources:<id>    hash: number > SHA-256 of the bytes
bytes:<f>       the bytes, until the file has finished
open            hash: f > its document, <collection>/<document id>
chain:<doc>     list: the open files of a document, in the order in which they came
queue           stream: of each chain the first, read by the consumer group `workers`
held            hash: f > token of the worker that has it, and its entry in `queue`
attempts        hash: f > how often it was taken
doomed          hash: f > 1 where it was cancelled
jobs, finished  sorted sets: job > when it was made, when it finished
"""

from __future__ import annotations

_PRELUDE = """
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
"""

SUBMIT = (
    _PRELUDE
    + """
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
"""
)

TAKE = (
    _PRELUDE
    + """
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
"""
)

RENEW = (
    _PRELUDE
    + """
-- f, token, consumer: held, taken or cancelled
local token, entry = holder(ARGV[2])
if token ~= ARGV[3] then return 'taken' end
redis.call('XCLAIM', p .. 'queue', 'workers', ARGV[4], 0, entry, 'JUSTID')
if redis.call('HEXISTS', p .. 'doomed', ARGV[2]) == 1 then return 'cancelled' end
return 'held'
"""
)

REPORT = (
    _PRELUDE
    + """
-- f, token, body
if holder(ARGV[2]) == ARGV[3] then
  local job, number = parts(ARGV[2])
  redis.call('HSET', p .. 'files:' .. job, number, ARGV[4])
  tell(job)
end
"""
)

FINISH = (
    _PRELUDE
    + """
-- f, token, body, now, iso: whether it was this worker's to finish
local token, entry = holder(ARGV[2])
if token ~= ARGV[3] then return 0 end
close(ARGV[2], ARGV[4], ARGV[5], ARGV[6])
drop(entry)
return 1
"""
)

RELEASE = (
    _PRELUDE
    + """
-- f, token, body
local token, entry = holder(ARGV[2])
if token ~= ARGV[3] then return end
local job, number = parts(ARGV[2])
redis.call('HSET', p .. 'files:' .. job, number, ARGV[4])
redis.call('HDEL', p .. 'held', ARGV[2])
drop(entry)
enqueue(ARGV[2])
tell(job)
"""
)

CANCEL = (
    _PRELUDE
    + """
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
"""
)

SWEEP = (
    _PRELUDE
    + """
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
"""
)
