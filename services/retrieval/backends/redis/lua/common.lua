-- What every script begins with. ARGV[1] is the prefix of all keys; see ../__init__.py for what they hold.
local prefix = ARGV[1]
local COLLECTIONS, ALIASES, DROPPED = prefix .. 'collections', prefix .. 'aliases', prefix .. 'dropped'

local function keys_of(uid) return { uid = uid, keys = prefix .. uid .. ':' } end

-- The collection of this name, which may be an alias.
local function find(name)
  local meant = redis.call('HGET', ALIASES, name) or name
  local text = redis.call('HGET', COLLECTIONS, meant)
  if not text then return nil end
  local found = cjson.decode(text)
  found.name, found.keys = meant, prefix .. found.uid .. ':'
  return found
end

local function passage(c, point) return c.keys .. 'p:' .. point end

local function revision(c, pair) return c.keys .. 'r:' .. pair end

-- A revision's hash begins with its document's.
local function document_of(pair) return string.sub(pair, 1, 20) end

local function hidden(c, pair) return redis.call('HGET', c.keys .. 'hidden', pair) end

local function count_words(c, weights, by)
  for word in string.gmatch(weights, '(%S+):') do
    if redis.call('HINCRBY', c.keys .. 'df', word, by) <= 0 then redis.call('HDEL', c.keys .. 'df', word) end
  end
end

-- Of a revision without points nothing is left, nor of a document without revisions.
local function forget_empty(c, pair)
  if redis.call('EXISTS', revision(c, pair)) == 1 then return end
  local document = document_of(pair)
  redis.call('HDEL', c.keys .. 'hidden', pair)
  redis.call('SREM', c.keys .. 'd:' .. document, pair)
  if redis.call('EXISTS', c.keys .. 'd:' .. document) == 0 then
    redis.call('SREM', c.keys .. 'documents', document)
  end
end

local function remove(c, point)
  local stored = redis.call('HMGET', passage(c, point), 'pair', 'weights')
  if not stored[1] then return end
  count_words(c, stored[2], -1)
  redis.call('UNLINK', passage(c, point))
  redis.call('ZREM', c.keys .. 'points', point)
  redis.call('ZREM', revision(c, stored[1]), point)
end

-- How many passages readers see.
local function visible(c)
  local count = redis.call('ZCARD', c.keys .. 'points')
  for _, pair in ipairs(redis.call('HKEYS', c.keys .. 'hidden')) do
    count = count - redis.call('ZCARD', revision(c, pair))
  end
  return count
end

local function aliases_of(name)
  local found = {}
  local all = redis.call('HGETALL', ALIASES)
  for at = 1, #all, 2 do
    if all[at + 1] == name then found[#found + 1] = all[at] end
  end
  table.sort(found)
  return found
end

local function make_index(uid, dim, index)
  redis.call('FT.CREATE', prefix .. uid, 'ON', 'HASH', 'PREFIX', 1, prefix .. uid .. ':p:',
    'NOOFFSETS', 'NOHL', 'STOPWORDS', 0,
    'SCHEMA', 'terms', 'TAG', 'pair', 'TAG', 'words', 'TEXT', 'NOSTEM',
    'vector', 'VECTOR', string.upper(index), 6, 'TYPE', 'FLOAT32', 'DIM', dim, 'DISTANCE_METRIC', 'IP')
end

-- Gone for everyone at once; its keys are deleted by `sweep`, bit by bit.
local function drop(name)
  local c = find(name)
  redis.call('HDEL', COLLECTIONS, name)
  redis.call('SADD', DROPPED, c.uid)
  redis.pcall('FT.DROPINDEX', prefix .. c.uid)
  return c.uid
end
