-- by, receipts
local until_then = in_time(ARGV[6])
local outcomes = {}
for number = 7, #ARGV do
  local key, entry = answered_by(ARGV[number])
  if entry then
    lift(key, entry)
    entry[DUE] = until_then
    hand_out(key, entry)
  end
  outcomes[number - 6] = entry and 1 or 0
end
return finish(outcomes)
