-- alias(alias, collection, replace): "1" to drop a collection that has the alias's name.
local alias, replace = ARGV[2], ARGV[4] == '1'
local c = find(ARGV[3])
if not c then return { 'missing' } end
local dropped = false
if redis.call('HEXISTS', COLLECTIONS, alias) == 1 then
  if not replace or alias == c.name then return { 'taken' } end
  local others = aliases_of(alias)
  if #others > 0 then return { 'aliased', unpack(others) } end
  dropped = drop(alias)
end
redis.call('HSET', ALIASES, alias, c.name)
return { 'set', dropped }
