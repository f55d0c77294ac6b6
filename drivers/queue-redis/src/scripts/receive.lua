-- max, visibility, whose that waits (`''`: nobody's), whether it waits on, whether it looks by itself
local until_then = in_time(ARGV[7])

local function first_from(least)
  return call('ZRANGEBYLEX', READY, least, '+', 'LIMIT', 0, 1)[1]
end

local function begins(member, beginning)
  return member and sub(member, 1, #beginning) == beginning
end

-- The priority whose turn it is, among those that wait; it counts as taken. As `Turns::take` says.
local function turn(tenant, waits)
  local packed = call('HGET', SERVED, tenant)
  local passed = packed and cmsgpack.unpack(packed) or { 0, 0, 0, 0, 0 }
  local whose
  for priority = 0, 4 do
    if waits[priority] then
      whose = priority
      local patience = PATIENCE[priority + 1]
      if patience and passed[priority + 1] >= patience then
        break
      end
    end
  end
  for priority = 0, 4 do
    if not waits[priority] or priority == whose then
      passed[priority + 1] = 0
    elseif priority < whose then
      passed[priority + 1] = passed[priority + 1] + 1
    end
  end
  call('HSET', SERVED, tenant, cmsgpack.pack(passed))
  return whose
end

local weights = {}

-- How many turns a tenant may have one after the other.
local function weight(tenant)
  weights[tenant] = weights[tenant] or tonumber(call('HGET', WEIGHTS, tenant) or 1)
  return weights[tenant]
end

-- The first member of READY of the tenant whose turn it is; it counts as taken.
local function next_tenant()
  local mine = last and last .. '!'
  local member = mine and row < weight(last) and first_from('[' .. mine)
  if begins(member, mine) then
    row = row + 1
    return member
  end
  member = last and first_from('(' .. last .. '"') or first_from('-')
  row = member and 1 or row
  return member
end

-- The member of READY whose turn it is: of the tenant, priority and workflow whose turn it is.
local function next_member()
  local member = next_tenant()
  if not member then
    return
  end
  last = sub(member, 1, find(member, '!', 1, true) - 1)
  local mine = last .. '!'
  local waits, firsts = {}, {}
  while begins(member, mine) do
    local priority = tonumber(sub(member, #mine + 1, #mine + 1))
    waits[priority], firsts[priority] = true, member
    member = first_from('[' .. mine .. (priority + 1))
  end
  local level = mine .. turn(last, waits)
  local served = call('HGET', SERVED, level)
  member = served and first_from('(' .. level .. served .. '"')
  if not begins(member, level) then
    member = firsts[tonumber(sub(level, -1))]
  end
  call('HSET', SERVED, level, sub(member, #level + 1, find(member, '!', #level + 1, true) - 1))
  return member
end

local taken = {}
while #taken < tonumber(ARGV[6]) do
  local member = next_member()
  if not member then
    break
  end
  call('ZREM', READY, member)
  local key = last .. '/' .. sub(member, -36)
  local entry = read(key)
  -- One that somebody else removed holds nobody up.
  if entry then
    entry[COUNT] = entry[COUNT] + 1
    entry[DUE] = until_then
    entry[AGAIN] = false
    entry[RECEIPT] = TOKEN .. '.' .. #taken
    hand_out(key, entry)
    taken[#taken + 1] = { key, entry[WORKFLOW], entry[PRIORITY], entry[COUNT], entry[RECEIPT] .. '/' .. key }
  end
end

-- Those that it took need nobody else. What is left when one looks by itself, somebody did not come for.
came = ARGV[10] == '1' and #taken > 0 and call('ZCARD', READY) or came - #taken

local whose, pause = ARGV[8], nil
if whose ~= '' and #taken == 0 and ARGV[9] == '1' then
  call('ZREMRANGEBYSCORE', WAITING, '-inf', text(now - GONE))
  call('ZADD', WAITING, text(now), whose)
  pause = LOOK_AGAIN
  if watcher == whose or not is_watched() then
    watcher = whose
    watch_from_now(tonumber(call('ZRANGE', LATER, 0, 0, 'WITHSCORES')[2]))
    pause = watches - now
  end
elseif whose ~= '' then
  leave(whose)
end
return finish(taken, pause)
