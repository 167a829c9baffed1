-- drop(name)
local name = ARGV[2]
local meant = redis.call('HGET', ALIASES, name)
if meant then return { 'alias', meant } end
if not find(name) then return { 'missing' } end
local aliases = aliases_of(name)
if #aliases > 0 then return { 'aliased', unpack(aliases) } end
return { 'dropped', drop(name) }
