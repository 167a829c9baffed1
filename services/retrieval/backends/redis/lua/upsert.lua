-- upsert(name, model, dim, staged, passages...): all of these passages or none of them.
-- A passage is nine arguments: point, pair, index, json, terms, words, weights, vector, token vectors or "".
local WIDTH, FIRST = 9, 6
local c = find(ARGV[2])
if not c then return { 'missing' } end
if c.model ~= ARGV[3] or c.dim ~= tonumber(ARGV[4]) then return { 'schema', c.model, c.dim } end
local staged = ARGV[5] == '1'
for at = FIRST, #ARGV, WIDTH do
  local point, pair = ARGV[at], ARGV[at + 1]
  if hidden(c, pair) == 'doomed' then return { 'doomed', c.uid, pair } end
  local held = staged and redis.call('HGET', passage(c, point), 'pair')
  if held and held ~= pair then
    return { 'taken', redis.call('HGET', passage(c, point), 'json'), ARGV[at + 3] }
  end
end
for at = FIRST, #ARGV, WIDTH do
  local point, pair, weights = ARGV[at], ARGV[at + 1], ARGV[at + 6]
  local held = redis.call('HGET', passage(c, point), 'pair')
  -- a revision that readers see already stays seen
  if staged and redis.call('EXISTS', revision(c, pair)) == 0 then
    redis.call('HSET', c.keys .. 'hidden', pair, 'staged')
  end
  remove(c, point)
  redis.call('HSET', passage(c, point), 'pair', pair, 'json', ARGV[at + 3], 'terms', ARGV[at + 4],
    'words', ARGV[at + 5], 'weights', weights, 'vector', ARGV[at + 7])
  if ARGV[at + 8] ~= '' then redis.call('HSET', passage(c, point), 'tokens', ARGV[at + 8]) end
  count_words(c, weights, 1)
  redis.call('ZADD', c.keys .. 'points', 0, point)
  redis.call('ZADD', revision(c, pair), ARGV[at + 2], point)
  redis.call('SADD', c.keys .. 'd:' .. document_of(pair), pair)
  redis.call('SADD', c.keys .. 'documents', document_of(pair))
  if held and held ~= pair then forget_empty(c, held) end
end
return { 'stored' }
