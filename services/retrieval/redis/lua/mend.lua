-- mend(): make the indexes that are missing, over what is stored. The names of all indexes.
local there, names = {}, {}
-- a name is a simple string, which is a table here
for _, name in ipairs(redis.call('FT._LIST')) do there[type(name) == 'table' and name.ok or name] = true end
for _, text in ipairs(redis.call('HVALS', COLLECTIONS)) do
  local c = cjson.decode(text)
  if not there[prefix .. c.uid] then make_index(c.uid, c.dim, c.index) end
  names[#names + 1] = prefix .. c.uid
end
return names
