-- receipts
local outcomes = {}
for number = 6, #ARGV do
  local key, entry = answered_by(ARGV[number])
  if entry then
    lift(key, entry)
    remove(key)
    if entry[AGAIN] then
      begin(key, entry[WORKFLOW], entry[PRIORITY], math.max(entry[AGAIN], now))
    end
    forget(tenant_of(key))
  end
  outcomes[number - 5] = entry and 1 or 0
end
return finish(outcomes)
