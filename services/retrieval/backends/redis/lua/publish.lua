-- publish(name, pair, expected): from now on readers see this revision of its document and no other.
-- `expected` is how many passages it must have, or "".
local c = find(ARGV[2])
if not c then return { 'missing' } end
local pair, expected = ARGV[3], tonumber(ARGV[4])
local stored = hidden(c, pair) == 'doomed' and 0 or redis.call('ZCARD', revision(c, pair))
if stored == 0 or (expected and expected ~= stored) then return { 'incomplete', stored } end
local count, doomed = 0, {}
for _, other in ipairs(redis.call('SMEMBERS', c.keys .. 'd:' .. document_of(pair))) do
  if other ~= pair and not hidden(c, other) then
    redis.call('HSET', c.keys .. 'hidden', other, 'doomed')
    count = count + redis.call('ZCARD', revision(c, other))
    doomed[#doomed + 1] = other
  end
end
redis.call('HDEL', c.keys .. 'hidden', pair)
return { 'published', count, c.uid, doomed }
