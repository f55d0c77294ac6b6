//! What changed, in the model: each execution knows which change of the store was its last.

use std::sync::Arc;

use nebula_core::{TenantId, Timestamp};
use nebula_ports::{ChangeCursor, Changes, MAX_CHANGES_BEHIND};

use super::{ExecutionGuard as Guard, record::Record, records::Records};

impl Records {
    /// Numbers what a transaction changed, against what was there before it.
    pub(super) fn number_changes(&mut self, before: &Self) {
        let guards = self.guards;
        let mut last = self.changes;
        if !guards.keep(Guard::ChangeNumbers) {
            last = self.rows.values().map(|row| row.changed).max().unwrap_or(0);
        }
        for (key, row) in &mut self.rows {
            let was = before.rows.get(key);
            if was.is_some_and(|was| Arc::ptr_eq(was, row)) {
                continue;
            }
            let changed = match was {
                None => guards.keep(Guard::ChangeCreated),
                Some(was) => {
                    (was.next_seq() != row.next_seq() && guards.keep(Guard::ChangeWritten))
                        || (is_moved(was, row) && guards.keep(Guard::ChangeMoved))
                        || !guards.keep(Guard::ChangeNothing)
                }
            };
            if changed {
                last += 1;
                Arc::make_mut(row).changed = last;
            }
        }
        self.changes = last;
    }

    /// Executions of a tenant that changed after a cursor.
    pub(super) fn changed_since(
        &self,
        tenant: &TenantId,
        after: Option<&ChangeCursor>,
        limit: usize,
        now: Timestamp,
    ) -> Changes {
        let guards = self.guards;
        let cursor = |number: u64| ChangeCursor(number.to_string());
        let Some(ChangeCursor(after)) = after else {
            return Changes::Changed {
                executions: Vec::new(),
                next: cursor(self.changes),
                more: false,
            };
        };
        let lost = Changes::Lost {
            next: cursor(self.changes),
        };
        let known = after.parse().ok().filter(|after| *after <= self.changes);
        let Some(after) = known.or((!guards.keep(Guard::ChangeCursor)).then_some(0)) else {
            return lost;
        };
        if self.changes - after > MAX_CHANGES_BEHIND && guards.keep(Guard::ChangeBehind) {
            return lost;
        }
        let ours = self.rows.iter().filter(|((owner, _), row)| {
            (owner == tenant || !guards.keep(Guard::ChangeTenant))
                && (row.changed > after || !guards.keep(Guard::ChangeOnce))
        });
        let mut found: Vec<_> = ours.collect();
        found.sort_by_key(|(_, row)| row.changed);
        let more = found.len() > limit;
        if guards.keep(Guard::ChangePages) {
            found.truncate(limit);
        }
        let next = found.last().filter(|_| more);
        Changes::Changed {
            next: cursor(next.map_or(self.changes, |(_, row)| row.changed)),
            executions: found
                .into_iter()
                .map(|((_, id), row)| row.summary(guards, *id, now))
                .collect(),
            more,
        }
    }
}

/// Whether the status moved by more than a grant.
fn is_moved(was: &Record, row: &Record) -> bool {
    was.status != row.status && was.epoch == row.epoch
}
