-- purge(uid, pair, limit): delete some points of a doomed revision; 1 where there are more, else 0.
local c, pair = keys_of(ARGV[2]), ARGV[3]
if hidden(c, pair) ~= 'doomed' then return 0 end
for _, point in ipairs(redis.call('ZRANGE', revision(c, pair), 0, tonumber(ARGV[4]) - 1)) do remove(c, point) end
forget_empty(c, pair)
return redis.call('EXISTS', revision(c, pair))
