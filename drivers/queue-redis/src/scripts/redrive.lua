-- skip, most: sends again what there is room for, of so many behind those that are skipped
local keys = call('ZRANGE', DEAD, tonumber(ARGV[6]), ARGV[6] + ARGV[7] - 1)
local sent = 0
for _, key in ipairs(keys) do
  if call('HLEN', TASKS) < CAPACITY or call('HEXISTS', TASKS, key) == 1 then
    local letter = cmsgpack.unpack(call('HGET', LETTERS, key))
    call('ZREM', DEAD, key)
    call('HDEL', LETTERS, key)
    ring(key, letter[1], letter[2], now)
    sent = sent + 1
  end
end
return finish({ sent, #keys - sent })
