-- describe(): name, JSON, how many passages readers see and aliases of every collection.
local found = {}
local all = redis.call('HGETALL', COLLECTIONS)
for at = 1, #all, 2 do
  found[#found + 1] = { all[at], all[at + 1], visible(find(all[at])), aliases_of(all[at]) }
end
return found
