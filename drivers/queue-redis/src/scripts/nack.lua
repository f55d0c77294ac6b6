-- receipt, delay, reason
local key, entry = answered_by(ARGV[6])
if entry then
  lift(key, entry)
  if entry[COUNT] >= MOST_DELIVERIES then
    bury(key, entry, ARGV[8])
  else
    local due = in_time(ARGV[7])
    entry[DUE] = entry[AGAIN] and math.min(math.max(entry[AGAIN], now), due) or due
    entry[REASON] = ARGV[8]
    entry[RECEIPT] = false
    entry[AGAIN] = false
    place(key, entry)
  end
end
return finish(entry and 1 or 0)
