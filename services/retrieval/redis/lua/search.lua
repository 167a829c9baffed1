-- search(name, vector, k, ef, filter, depth, words, vectors): both sides of a query, and what their scores
-- rest on, from one state of the collection. `words` are those of the text, joined by spaces; a side
-- without its input is not searched. `vectors` is "1" where the passages' vectors are wanted too.
local c = find(ARGV[2])
if not c then return { 'missing' } end
local vector, k, ef, filter, depth = ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7]
if vector ~= '' and #vector ~= 4 * c.dim then return { 'dim', c.dim } end
local LIMIT_MS = 30000

local base = filter
local pairs_hidden = redis.call('HKEYS', c.keys .. 'hidden')
if #pairs_hidden > 0 then base = base .. ' -@pair:{' .. table.concat(pairs_hidden, '|') .. '}' end
local function ask(query, ...)
  return redis.call('FT.SEARCH', prefix .. c.uid, query, 'DIALECT', 2, 'TIMEOUT', LIMIT_MS, ...)
end

local dense, sparse, frequencies = {}, {}, {}
if vector ~= '' then
  local knn = '=>[KNN ' .. k .. ' @vector $vector'
  if c.index == 'hnsw' then knn = knn .. ' EF_RUNTIME ' .. ef end
  local filtered = base == '' and '*' or '(' .. base .. ')'
  local fields = { 'RETURN', 2, 'distance', 'json' }
  if ARGV[9] == '1' then fields = { 'RETURN', 3, 'distance', 'json', 'vector' } end
  dense = ask(filtered .. knn .. ' AS distance]', 'PARAMS', 2, 'vector', vector, 'SORTBY', 'distance',
    'LIMIT', 0, k, unpack(fields))
end
local present = {}
for word in string.gmatch(ARGV[8], '%S+') do
  local df = redis.call('HGET', c.keys .. 'df', word)
  if df then
    present[#present + 1] = word
    frequencies[#frequencies + 1] = { word, tonumber(df) }
  end
end
if #present > 0 then
  local fields = { 'RETURN', 2, 'json', 'words' }
  if vector ~= '' or ARGV[9] == '1' then fields = { 'RETURN', 3, 'json', 'words', 'vector' } end
  sparse = ask(base .. ' (' .. table.concat(present, '|') .. ')', 'SCORER', 'BM25STD', 'LIMIT', 0, depth, unpack(fields))
end
return { 'found', redis.call('ZCARD', c.keys .. 'points'), frequencies, dense, sparse }
