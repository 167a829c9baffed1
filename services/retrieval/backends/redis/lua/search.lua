-- search(name, vector, dense, k, ef, filter, words, vectors): both sides of a query, from one state of the
-- collection. A side without its input is not searched, nor is the dense one unless `dense` is "1".
-- `words` are those of the text, "<word>:<weight> ..."; with `vectors` "1" every hit brings its vector.
local c = find(ARGV[2])
if not c then return { 'missing' } end
local vector, dense_wanted, k, ef = ARGV[3], ARGV[4] == '1', tonumber(ARGV[5]), ARGV[6]
if vector ~= '' and #vector ~= 4 * c.dim then return { 'dim', c.dim } end
local LIMIT_MS = 30000

local base = ARGV[7]
local unseen = redis.call('HKEYS', c.keys .. 'hidden')
if #unseen > 0 then base = base .. ' -@pair:{' .. table.concat(unseen, '|') .. '}' end
local function ask(query, ...)
  return redis.call('FT.SEARCH', prefix .. c.uid, query, 'DIALECT', 2, 'TIMEOUT', LIMIT_MS, ...)
end

local dense, sparse = {}, {}
if vector ~= '' and dense_wanted then
  local knn = '=>[KNN ' .. k .. ' @vector $vector'
  if c.index == 'hnsw' then knn = knn .. ' EF_RUNTIME ' .. ef end
  local filtered = base == '' and '*' or '(' .. base .. ')'
  local fields = { 'RETURN', 2, 'distance', 'json' }
  if ARGV[9] == '1' then fields = { 'RETURN', 3, 'distance', 'json', 'vector' } end
  dense = ask(filtered .. knn .. ' AS distance]', 'PARAMS', 2, 'vector', vector, 'SORTBY', 'distance',
    'LIMIT', 0, k, unpack(fields))
end

-- Word by word: its weight in the query times its IDF, over all passages that are stored.
local words, factors, optional = {}, {}, {}
local total = redis.call('ZCARD', c.keys .. 'points')
for word, weight in string.gmatch(ARGV[8], '(%S+):(%S+)') do
  local having = tonumber(redis.call('HGET', c.keys .. 'df', word) or 0)
  if having > 0 then
    local factor = tonumber(weight) * math.log((total - having + 0.5) / (having + 0.5) + 1)
    words[#words + 1] = word
    factors[' ' .. word .. ':'] = factor
    optional[#optional + 1] = string.format(' (~%s)=>{$weight:%.6f;}', word, factor)
  end
end
if #words > 0 then
  -- RediSearch's own IDF counts deleted passages until it collects them, and goes wrong where they are many;
  -- DISMAX has none, and adds up what is required or optional: any of the words, which weighs nothing, and
  -- each word as often as it is there. Those frequencies are rounded weights, so more than `k` are scored
  -- again by the weights themselves, and every store gives the same scores.
  local any = ' ((' .. table.concat(words, '|') .. ')=>{$weight:0;})'
  local reply = ask(base .. any .. table.concat(optional), 'VERBATIM', 'SCORER', 'DISMAX',
    'LIMIT', 0, 2 * k + 50, 'RETURN', 1, 'weights')
  local scored = {}
  for at = 2, #reply, 2 do
    local weights, score = reply[at + 1][2], 0
    for word, factor in pairs(factors) do
      local _, last = string.find(weights, word, 1, true)
      if last then score = score + factor * tonumber(string.match(weights, '^%S+', last + 1)) end
    end
    scored[#scored + 1] = { reply[at], score }
  end
  table.sort(scored, function(one, other)
    if one[2] ~= other[2] then return one[2] > other[2] end
    return one[1] < other[1]
  end)
  for at = 1, math.min(k, #scored) do
    local key, score = unpack(scored[at])
    local stored = redis.call('HMGET', key, 'json', 'vector')
    local with_vector = vector ~= '' or ARGV[9] == '1'
    sparse[at] = { string.format('%.9g', score), stored[1], with_vector and stored[2] or '' }
  end
end
return { 'found', dense, sparse }
