-- unalias(alias)
if redis.call('HDEL', ALIASES, ARGV[2]) == 0 then return { 'missing' } end
return { 'deleted' }
