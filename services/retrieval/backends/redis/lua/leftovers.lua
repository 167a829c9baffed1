-- leftovers(): what is hidden or dropped for good and not deleted yet: {uid, pairs...} and {uids...}.
local doomed = {}
for _, text in ipairs(redis.call('HVALS', COLLECTIONS)) do
  local found = { cjson.decode(text).uid }
  local all = redis.call('HGETALL', prefix .. found[1] .. ':hidden')
  for at = 1, #all, 2 do
    if all[at + 1] == 'doomed' then found[#found + 1] = all[at] end
  end
  if #found > 1 then doomed[#doomed + 1] = found end
end
return { doomed, redis.call('SMEMBERS', DROPPED) }
