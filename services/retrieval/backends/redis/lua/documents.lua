-- documents(name, cursor, count): some documents that readers see, each as it is now, and the next cursor.
-- A document is the number of its passages and the JSON of its first one.
local c = find(ARGV[2])
if not c then return { '0', {} } end
local page = redis.call('SSCAN', c.keys .. 'documents', ARGV[3], 'COUNT', ARGV[4])
local found = {}
for _, document in ipairs(page[2]) do
  local most, first = 0, nil
  for _, pair in ipairs(redis.call('SMEMBERS', c.keys .. 'd:' .. document)) do
    local count = redis.call('ZCARD', revision(c, pair))
    if not hidden(c, pair) and (count > most or (count == most and pair > first)) then
      most, first = count, pair
    end
  end
  if first then
    local head = redis.call('ZRANGE', revision(c, first), 0, 0)[1]
    found[#found + 1] = { most, redis.call('HGET', passage(c, head), 'json') }
  end
end
return { page[1], found }
