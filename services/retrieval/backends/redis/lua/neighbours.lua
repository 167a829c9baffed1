-- neighbours(name, before, after, points...): of each, the JSON of the passages around it, in order.
local c = find(ARGV[2])
local found = {}
for at = 5, #ARGV do
  local around = {}
  local pair = c and redis.call('HGET', passage(c, ARGV[at]), 'pair')
  if pair and not hidden(c, pair) then
    local index = tonumber(redis.call('ZSCORE', revision(c, pair), ARGV[at]))
    local first, last = index - tonumber(ARGV[3]), index + tonumber(ARGV[4])
    for _, point in ipairs(redis.call('ZRANGEBYSCORE', revision(c, pair), first, last)) do
      around[#around + 1] = redis.call('HGET', passage(c, point), 'json')
    end
  end
  found[at - 4] = around
end
return found
