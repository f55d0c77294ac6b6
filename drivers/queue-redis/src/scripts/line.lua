-- What every script begins with: the queue as it is now.
--
-- A task has a key, `tenant/execution`, and an entry under it. It stands either in READY, a sorted set
-- in the order of its members, `tenant!priority` + `workflow!due` + `order` + `execution`, so that whose
-- turn it is is found by looking for the next member behind a text; or in LATER, until its delay or its
-- visibility is over. `!` comes before every character of an id, and `"` is the next character behind it.
--
-- Who waits stands in WAITING, `process/number`, by when it looked last, and found nothing. Each task that
-- becomes ready takes one of them out, and tells it to look. One of them watches: it looks at the latest after
-- WATCH and when something is due, so that of the others none need know the time; it is told for a task only
-- if it is alone. What one of them was told and never came for, it finds.

local STATE, TASKS, LATER, READY = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local SERVED, TENANTS, DEAD, LETTERS, WAITING = KEYS[5], KEYS[6], KEYS[7], KEYS[8], KEYS[9]
local WEIGHTS = KEYS[10]
local CAPACITY, MOST_DELIVERIES, BELL, TOKEN = tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4], ARGV[5]

-- The places of an entry.
local ORDER, DUE, COUNT, STANDS, PRIORITY, WORKFLOW, RECEIPT, AGAIN, REASON = 1, 2, 3, 4, 5, 6, 7, 8, 9
-- Where it stands.
local IS_READY, IS_DELAYED, IN_HANDS = 0, 1, 2

-- Whole numbers are exact up to here: microseconds until the year 2255.
local MOST = 9007199254740991

local call, sub, format, find = redis.call, string.sub, string.format, string.find

local now
if ARGV[1] == '' then
  local time = call('TIME')
  now = time[1] * 1000000 + time[2]
else
  now = tonumber(ARGV[1])
end

local state = call('HMGET', STATE, 'life', 'serial', 'dropped', 'last', 'watcher', 'watches', 'row')
local life, serial, dropped, last = state[1], tonumber(state[2] or 0), tonumber(state[3] or 0), state[4]
-- Who watches, `''` if nobody does, and when it looks next.
local watcher, watches = state[5] or '', tonumber(state[6] or 0)
-- How many turns the tenant had that had the last, one after the other.
local row = tonumber(state[7] or 0)
if not life then
  life = TOKEN
end

-- How many tasks became ready in this call.
local came = 0

local function text(number)
  return format('%.0f', number)
end

local function padded(number)
  return format('%016.0f', number)
end

local function next_serial()
  serial = serial + 1
  return serial
end

local function in_time(delay)
  return math.min(now + tonumber(delay), MOST)
end

local function tenant_of(key)
  return sub(key, 1, -38)
end

local function read(key)
  local packed = call('HGET', TASKS, key)
  return packed and cmsgpack.unpack(packed)
end

local function write(key, entry)
  call('HSET', TASKS, key, cmsgpack.pack(entry))
end

local function ready_member(key, entry)
  return tenant_of(key) .. '!' .. entry[PRIORITY] .. entry[WORKFLOW] .. '!'
    .. padded(entry[DUE]) .. padded(entry[ORDER]) .. sub(key, -36)
end

local function later_member(key, entry)
  return padded(entry[ORDER]) .. key
end

-- Puts a task that nobody has in hands where its due time says.
local function place(key, entry)
  if entry[DUE] <= now then
    if entry[STANDS] ~= IS_READY then
      came = came + 1
    end
    entry[STANDS] = IS_READY
    call('ZADD', READY, 0, ready_member(key, entry))
  else
    entry[STANDS] = IS_DELAYED
    call('ZADD', LATER, text(entry[DUE]), later_member(key, entry))
  end
  write(key, entry)
end

-- Puts a task into somebody's hands until it is due.
local function hand_out(key, entry)
  entry[STANDS] = IN_HANDS
  call('ZADD', LATER, text(entry[DUE]), later_member(key, entry))
  write(key, entry)
end

-- Takes a task out of whichever order it stands in.
local function lift(key, entry)
  if entry[STANDS] == IS_READY then
    call('ZREM', READY, ready_member(key, entry))
  else
    call('ZREM', LATER, later_member(key, entry))
  end
end

-- Puts a new task in its place; its deliveries are counted from 1.
local function begin(key, workflow, priority, due)
  call('HINCRBY', TENANTS, tenant_of(key), 1)
  place(key, { next_serial(), due, 0, IS_DELAYED, priority, workflow, false, false, false })
end

-- Removes a task that stands in no order any more.
local function remove(key)
  call('HDEL', TASKS, key)
  call('HINCRBY', TENANTS, tenant_of(key), -1)
end

-- Forgets the turns of a tenant that has no task any more.
local function forget(tenant)
  if call('HGET', TENANTS, tenant) == '0' then
    call('HDEL', TENANTS, tenant)
    call('HDEL', SERVED, tenant, tenant .. '!0', tenant .. '!1', tenant .. '!2', tenant .. '!3', tenant .. '!4')
  end
end

-- Puts a task that stands in no order among the dead, as the youngest; a ring that came meanwhile
-- begins anew.
local function bury(key, entry, reason)
  remove(key)
  call('ZADD', DEAD, text(next_serial()), key)
  call('HSET', LETTERS, key, cmsgpack.pack({ entry[WORKFLOW], entry[PRIORITY], reason }))
  if call('ZCARD', DEAD) > CAPACITY then
    call('HDEL', LETTERS, call('ZPOPMIN', DEAD)[1])
    dropped = dropped + 1
  end
  if entry[AGAIN] then
    begin(key, entry[WORKFLOW], entry[PRIORITY], math.max(entry[AGAIN], now))
  end
  forget(tenant_of(key))
end

-- Rings: merged with what is there, dropped where there is no room.
local function ring(key, workflow, priority, due)
  local entry = read(key)
  if not entry then
    if call('HLEN', TASKS) >= CAPACITY then
      dropped = dropped + 1
      return 'dropped'
    end
    begin(key, workflow, priority, due)
    return 'queued'
  end
  lift(key, entry)
  local first = entry[STANDS] == IN_HANDS and not entry[AGAIN]
  entry[PRIORITY] = math.max(entry[PRIORITY], priority)
  if entry[RECEIPT] then
    entry[AGAIN] = math.min(entry[AGAIN] or due, due)
  end
  if entry[STANDS] == IN_HANDS then
    hand_out(key, entry)
  else
    entry[DUE] = math.min(entry[DUE], due)
    place(key, entry)
  end
  return first and 'queued' or 'merged'
end

-- The key and entry for which a receipt answers: `token/key`.
local function answered_by(receipt)
  local slash = find(receipt, '/', 1, true)
  local key = slash and sub(receipt, slash + 1) or ''
  local entry = read(key)
  if entry and entry[RECEIPT] == sub(receipt, 1, slash - 1) then
    return key, entry
  end
end

-- Moves on what became due, the earliest first.
for _, member in ipairs(call('ZRANGEBYSCORE', LATER, '-inf', text(now), 'LIMIT', 0, MOST_MOVED)) do
  local key = sub(member, 17)
  local entry = read(key)
  call('ZREM', LATER, member)
  if not entry then
    -- Somebody else removed it; nobody is held up by that.
  elseif entry[STANDS] == IN_HANDS and entry[COUNT] >= MOST_DELIVERIES then
    bury(key, entry, entry[REASON] or NEVER_ANSWERED)
  else
    place(key, entry)
  end
end

-- Tells one that waits to look. Whether its process is there: it listens over the connection by which it
-- asks, so nobody listens for one that has ended.
local function tell(whose)
  local slash = find(whose, '/', 1, true)
  return call('PUBLISH', BELL .. ':' .. sub(whose, 1, slash - 1), sub(whose, slash + 1)) > 0
end

local function leave(whose)
  call('ZREM', WAITING, whose)
  if whose == watcher then
    watcher = ''
  end
end

-- Tells so many of those who wait, those who wait longest first; each stands there again when it has looked.
local function wake(count)
  while count > 0 do
    local first = call('ZRANGE', WAITING, 0, 1)
    local whose = first[1] == watcher and first[2] or first[1]
    if not whose then
      return
    end
    leave(whose)
    if tell(whose) then
      count = count - 1
    end
  end
end

local function is_watched()
  return watcher ~= '' and watches + LATE >= now
end

local function watch_from_now(due)
  watches = math.min(now + WATCH, math.max(due or MOST, now))
end

-- Sees that one watches, and knows when something is due.
local function keep_watch()
  local due = tonumber(call('ZRANGE', LATER, 0, 0, 'WITHSCORES')[2])
  while not is_watched() or due and due < watches do
    if not is_watched() then
      watcher = call('ZRANGE', WAITING, 0, 0)[1] or ''
      if watcher == '' then
        return
      end
    end
    watch_from_now(due)
    if tell(watcher) then
      return
    end
    leave(watcher)
  end
end

-- Wakes those who wait for what became ready, writes down what changed, and answers: the queue's life, its
-- dropped rings, how long one that waits may sleep, `result`.
local function finish(result, pause)
  wake(math.min(came, call('ZCARD', READY)))
  keep_watch()
  if not state[1] then
    -- The server forgot who waits.
    call('PUBLISH', BELL, '')
  end
  if life ~= state[1] or serial ~= tonumber(state[2] or 0) or dropped ~= tonumber(state[3] or 0) or last ~= state[4]
    or watcher ~= state[5] or watches ~= tonumber(state[6] or 0) or row ~= tonumber(state[7] or 0) then
    call('HSET', STATE, 'life', life, 'serial', text(serial), 'dropped', text(dropped), 'last', last or '',
      'watcher', watcher, 'watches', text(watches), 'row', row)
  end
  return { life, dropped, pause or 0, result }
end
