-- tokens(name, points...): the token vectors of each, or nil.
local c = find(ARGV[2])
local found = {}
for at = 3, #ARGV do
  local stored = c and redis.call('HMGET', passage(c, ARGV[at]), 'pair', 'tokens')
  local shown = stored and stored[1] and hidden(c, stored[1]) ~= 'doomed'
  found[at - 2] = shown and stored[2] or false
end
return found
