-- delete(name, document, keep, only): hide the document's revisions, but not `keep`, or `only` one; "" for none.
local c = find(ARGV[2])
if not c then return { 'missing' } end
local keep, only = ARGV[4], ARGV[5]
local count, doomed = 0, {}
for _, pair in ipairs(redis.call('SMEMBERS', c.keys .. 'd:' .. ARGV[3])) do
  if pair ~= keep and (only == '' or pair == only) then
    if hidden(c, pair) ~= 'doomed' then
      redis.call('HSET', c.keys .. 'hidden', pair, 'doomed')
      count = count + redis.call('ZCARD', revision(c, pair))
    end
    doomed[#doomed + 1] = pair
  end
end
return { 'deleted', count, c.uid, doomed }
