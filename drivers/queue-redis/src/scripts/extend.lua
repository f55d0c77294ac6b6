-- receipt, by
local key, entry = answered_by(ARGV[6])
if entry then
  lift(key, entry)
  entry[DUE] = in_time(ARGV[7])
  hand_out(key, entry)
end
return finish(entry and 1 or 0)
