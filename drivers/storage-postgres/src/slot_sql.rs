//! The statements about slots; none of them looks at more rows than it changes, answers with or counts.

/// Executions whose lease has expired, with granted slots, the longest expired first.
pub(crate) const EXPIRED: &str = "SELECT n FROM executions
    WHERE slots = 2 AND lease_until <= $1 ORDER BY lease_until LIMIT $2 FOR UPDATE SKIP LOCKED";
/// A queue from its head on.
pub(crate) const QUEUE: &str =
    "SELECT e.id, s.owner, s.capacity, s.granted, s.since FROM slots AS s JOIN executions AS e ON e.n = s.execution
    WHERE s.tenant = $1 AND s.key = $2 ORDER BY s.place LIMIT $3";
/// The queues in which an execution is.
pub(crate) const QUEUES_OF: &str = "SELECT DISTINCT tenant, key FROM slots WHERE execution = $1";
/// Removes an execution from all queues.
pub(crate) const LEAVE: &str = "DELETE FROM slots WHERE execution = $1";
/// Removes one place of an execution.
pub(crate) const FREE: &str = "DELETE FROM slots WHERE execution = $1 AND key = $2 AND owner = $3";
/// Puts an execution at the end of a queue.
pub(crate) const CLAIM: &str =
    "INSERT INTO slots (tenant, key, place, execution, owner, capacity, granted, since)
    VALUES ($1, $2, (SELECT coalesce(max(place), 0) + 1 FROM slots WHERE tenant = $1 AND key = $2),
        $3, $4, $5, false, $6)
    ON CONFLICT (execution, key, owner) DO NOTHING";
/// Whether a claim waits.
pub(crate) const WAITS: &str =
    "SELECT 1 FROM slots WHERE execution = $1 AND key = $2 AND owner = $3 AND NOT granted";
/// Of those who hold a slot of a key, the ones whose lease has expired, but for one execution.
pub(crate) const EXPIRED_AHEAD: &str =
    "SELECT DISTINCT s.execution FROM slots AS s JOIN executions AS e ON e.n = s.execution
    WHERE s.tenant = $1 AND s.key = $2
        AND s.place < (SELECT min(place) FROM slots WHERE tenant = $1 AND key = $2 AND NOT granted)
        AND e.lease_until <= $3 AND e.n <> $4";
/// Those who hold a slot of a key and whose lease has expired.
pub(crate) const EXPIRED_HOLDERS: &str =
    "SELECT DISTINCT s.execution FROM slots AS s JOIN executions AS e ON e.n = s.execution
    WHERE s.tenant = $1 AND s.key = $2 AND s.granted AND e.lease_until <= $3";
/// How many claims of a key wait, up to a limit.
pub(crate) const WAITING: &str = "SELECT count(*) FROM
    (SELECT 1 FROM slots WHERE tenant = $1 AND key = $2 AND NOT granted LIMIT $3) AS waiting";
/// The granted slots of an execution, in the order of keys.
pub(crate) const HELD: &str =
    "SELECT tenant, key, owner FROM slots WHERE execution = $1 AND granted ORDER BY key, place";
/// Removes the granted slots of an execution.
pub(crate) const LOSE: &str = "DELETE FROM slots WHERE execution = $1 AND granted";
/// What an execution has, as `executions.slots` tells it.
pub(crate) const LEFT: &str =
    "SELECT (EXISTS (SELECT 1 FROM slots WHERE execution = $1))::int::smallint
    + (EXISTS (SELECT 1 FROM slots WHERE execution = $1 AND granted))::int::smallint";
/// Grants one place.
pub(crate) const GRANT: &str =
    "UPDATE slots SET granted = true, since = $4 WHERE tenant = $1 AND key = $2 AND place = $3";
/// The first of a queue that waits.
pub(crate) const HEAD: &str = "SELECT place, execution, owner, capacity FROM slots
    WHERE tenant = $1 AND key = $2 AND NOT granted ORDER BY place LIMIT 1";
/// How many places are before one, up to a limit.
pub(crate) const COUNT: &str = "SELECT count(*) FROM
    (SELECT 1 FROM slots WHERE tenant = $1 AND key = $2 AND place < $3 LIMIT $4) AS before";
