-- mend(make): the names of all indexes, and how many are missing; with "1" those are made, over what is stored.
local there, names, missing = {}, {}, 0
-- a name is a simple string, which is a table here
for _, name in ipairs(redis.call('FT._LIST')) do there[type(name) == 'table' and name.ok or name] = true end
for _, text in ipairs(redis.call('HVALS', COLLECTIONS)) do
  local c = cjson.decode(text)
  names[#names + 1] = prefix .. c.uid
  if not there[prefix .. c.uid] then
    missing = missing + 1
    if ARGV[2] == '1' then make_index(c.uid, c.dim, c.index) end
  end
end
return { names, missing }
