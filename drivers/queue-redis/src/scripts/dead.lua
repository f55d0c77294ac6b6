-- limit
local keys = call('ZRANGE', DEAD, 0, tonumber(ARGV[6]) - 1)
local letters = {}
for number, key in ipairs(keys) do
  local letter = cmsgpack.unpack(call('HGET', LETTERS, key))
  letters[number] = { key, letter[1], letter[2], letter[3] }
end
return finish(letters)
