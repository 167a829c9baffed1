-- scroll(name, after, limit): the next passages that readers see by point id, and the last id looked at
-- where there are more.
local c = find(ARGV[2])
if not c then return { 'missing' } end
local from, limit = ARGV[3] == '' and '-' or '(' .. ARGV[3], tonumber(ARGV[4])
local found = {}
local points = redis.call('ZRANGEBYLEX', c.keys .. 'points', from, '+', 'LIMIT', 0, limit)
for _, point in ipairs(points) do
  local stored = redis.call('HMGET', passage(c, point), 'pair', 'json')
  if stored[1] and not hidden(c, stored[1]) then found[#found + 1] = stored[2] end
end
return { 'page', #points == limit and points[limit] or '', found }
