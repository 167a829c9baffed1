-- make(name, uid, model, dim, index): make the collection, unless its name is taken already.
local name, uid, model, dim, index = ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5]), ARGV[6]
if find(name) then return { 'present' } end
make_index(uid, dim, index)
redis.call('HSET', COLLECTIONS, name, cjson.encode({ uid = uid, model = model, dim = dim, index = index }))
return { 'made' }
