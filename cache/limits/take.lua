-- One step of a leaky bucket, quota.take in Go.
--   KEYS[1]  the bucket: "level microseconds"
--   ARGV     rate, period in microseconds, burst, want, least, give
-- returns how many permits are granted, and the level after it.
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local rate, period, burst = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local want, least, give = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])

local kept, at = string.match(redis.call('GET', KEYS[1]) or '', '^(%S+) (%S+)$')
kept, at = tonumber(kept) or 0, math.min(tonumber(at) or now, now)

local level = math.max(math.min(kept, burst) - give - (now - at) * rate / period, 0)
local granted = 0
if burst - level >= least then
  granted = math.min(want, math.floor(burst - level))
end
level = level + granted
if granted > 0 or give > 0 then
  kept, at = level, now
end
-- A second after the bucket is empty nobody misses it.
if level > 0 then
  local ttl = math.ceil(level * period / rate / 1000) + 1000
  redis.call('SET', KEYS[1], string.format('%.17g %.0f', kept, at), 'PX', string.format('%.0f', ttl))
elseif give > 0 then
  redis.call('DEL', KEYS[1])
end
return {granted, string.format('%.17g', level)}
