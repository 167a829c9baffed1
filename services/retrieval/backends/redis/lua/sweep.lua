-- sweep(uid, limit): delete some keys of a dropped collection; 1 where there are more, else 0.
local uid, limit = ARGV[2], tonumber(ARGV[3])
local c = keys_of(uid)
if redis.call('SISMEMBER', DROPPED, uid) == 0 then return 0 end
local points = redis.call('ZPOPMIN', c.keys .. 'points', limit)
for at = 1, #points, 2 do redis.call('UNLINK', passage(c, points[at])) end
if #points > 0 then return 1 end
local documents = redis.call('SPOP', c.keys .. 'documents', limit)
for _, document in ipairs(documents) do
  for _, pair in ipairs(redis.call('SMEMBERS', c.keys .. 'd:' .. document)) do
    redis.call('UNLINK', revision(c, pair))
  end
  redis.call('UNLINK', c.keys .. 'd:' .. document)
end
if #documents > 0 then return 1 end
redis.call('UNLINK', c.keys .. 'points', c.keys .. 'documents', c.keys .. 'hidden', c.keys .. 'df')
redis.call('SREM', DROPPED, uid)
return 0
