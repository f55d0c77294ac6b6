//! The statements about slots; none of them looks at more rows than it changes, answers with or counts.

/// Declares statements, and a list of them for the test.
macro_rules! statements {
    ($($(#[$doc:meta])* $name:ident = $sql:literal;)+) => {
        $($(#[$doc])* pub(crate) const $name: &str = $sql;)+

        #[cfg(test)]
        const ALL: &[(&str, &str)] = &[$((stringify!($name), $sql)),+];
    };
}

statements! {
    /// Executions whose lease has expired, with granted slots, the longest expired first.
    EXPIRED = "SELECT n FROM executions INDEXED BY executions_slots
        WHERE slots = 2 AND lease_until <= ? ORDER BY lease_until LIMIT ?";
    /// A queue from its head on.
    QUEUE = "SELECT id, owner, capacity, granted, since FROM slots JOIN executions ON n = execution
        WHERE slots.tenant = ? AND key = ? ORDER BY place LIMIT ?";
    /// The queues in which an execution is.
    QUEUES_OF = "SELECT DISTINCT tenant, key FROM slots WHERE execution = ?";
    /// Removes an execution from all queues.
    LEAVE = "DELETE FROM slots WHERE execution = ?";
    /// Removes one place of an execution.
    FREE = "DELETE FROM slots WHERE execution = ? AND key = ? AND owner = ?";
    /// Puts an execution at the end of a queue.
    CLAIM = "INSERT INTO slots (tenant, key, place, execution, owner, capacity, granted, since)
        VALUES (?1, ?2, (SELECT coalesce(max(place), 0) + 1 FROM slots WHERE tenant = ?1 AND key = ?2),
        ?3, ?4, ?5, 0, ?6)
        ON CONFLICT (execution, key, owner) DO NOTHING";
    /// Whether a claim waits.
    WAITS = "SELECT 1 FROM slots WHERE execution = ? AND key = ? AND owner = ? AND granted = 0";
    /// Of those who hold a slot of a key, the ones whose lease has expired, but for one execution.
    EXPIRED_AHEAD = "SELECT DISTINCT execution FROM slots CROSS JOIN executions ON n = execution
        WHERE slots.tenant = ?1 AND key = ?2
        AND place < (SELECT min(place) FROM slots INDEXED BY slots_waiting
            WHERE tenant = ?1 AND key = ?2 AND granted = 0)
        AND lease_until <= ?3 AND n <> ?4";
    /// Those who hold a slot of a key and whose lease has expired.
    EXPIRED_HOLDERS = "SELECT DISTINCT execution FROM slots CROSS JOIN executions ON n = execution
        WHERE slots.tenant = ?1 AND key = ?2
        AND place < coalesce((SELECT min(place) FROM slots INDEXED BY slots_waiting
            WHERE tenant = ?1 AND key = ?2 AND granted = 0), 9223372036854775807)
        AND lease_until <= ?3";
    /// How many claims of a key wait, up to a limit.
    WAITING = "SELECT count(*) FROM
        (SELECT 1 FROM slots INDEXED BY slots_waiting WHERE tenant = ? AND key = ? AND granted = 0 LIMIT ?)";
    /// The granted slots of an execution, in the order of keys.
    HELD = "SELECT tenant, key, owner FROM slots INDEXED BY slots_held
        WHERE execution = ? AND granted = 1 ORDER BY key, place";
    /// Removes the granted slots of an execution.
    LOSE = "DELETE FROM slots WHERE execution = ? AND granted = 1";
    /// What an execution has, as `executions.slots` tells it.
    LEFT = "SELECT EXISTS (SELECT 1 FROM slots WHERE execution = ?1)
        + EXISTS (SELECT 1 FROM slots WHERE execution = ?1 AND granted = 1)";
    /// Grants one place.
    GRANT = "UPDATE slots SET granted = 1, since = ?4 WHERE tenant = ?1 AND key = ?2 AND place = ?3";
    /// The first of a queue that waits.
    HEAD = "SELECT place, execution, owner, capacity FROM slots INDEXED BY slots_waiting
        WHERE tenant = ? AND key = ? AND granted = 0 ORDER BY place LIMIT 1";
    /// How many places are before one, up to a limit.
    COUNT = "SELECT count(*) FROM
        (SELECT 1 FROM slots WHERE tenant = ? AND key = ? AND place < ? LIMIT ?)";
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::query_plan;

    #[test]
    fn every_statement_finds_its_rows_by_an_index() {
        for (name, sql) in ALL {
            let mut searches = 0;
            for step in query_plan(sql) {
                // A subquery that is limited may be walked; a table may not.
                let walked = step.starts_with("SCAN") && !step.contains("subquery");
                assert!(!walked || step == "SCAN CONSTANT ROW", "{name}: {step}");
                searches += usize::from(step.starts_with("SEARCH"));
            }
            assert!(searches > 0, "{name} searches nothing");
        }
    }
}
