//! How an execution of the model gets another version.

use nebula_core::{ExecutionId, TenantId, Timestamp};
use nebula_execution::{Entry, Fact};
use nebula_ports::{ErrorKind, Moved, PortError, Result};

use super::{ExecutionGuard as Guard, record::DRIVER, records::Records};

impl Records {
    pub(super) fn migrate(
        &mut self,
        tenant: &TenantId,
        id: ExecutionId,
        (expected_seq, entry): (u64, Entry),
        now: Timestamp,
    ) -> Result<Moved> {
        let guards = self.guards;
        let moves = match &entry.fact {
            Fact::Migrated { version, plan } => Some((*version, *plan)),
            _ if guards.keep(Guard::MigrateFact) => {
                let message = "the entry says nothing of a migration";
                return Err(PortError::new(
                    ErrorKind::Invalid,
                    DRIVER,
                    "migrate",
                    message,
                ));
            }
            _ => None,
        };
        let owner = match guards.keep(Guard::MigrateTenant) {
            true => None,
            false => self.owner(id),
        };
        let Some(row) = self.get_mut(owner.as_ref().unwrap_or(tenant), id) else {
            return Ok(Moved::Unknown);
        };
        if row.status.is_terminal() && guards.keep(Guard::MigrateTerminal) {
            return Ok(Moved::Terminal(row.status));
        }
        let held = match guards.keep(Guard::MigrateExpired) {
            true => row.lease.is_some(),
            false => row.is_held(guards, now),
        };
        if held && guards.keep(Guard::MigrateHeld) {
            return Ok(Moved::Held);
        }
        let actual = row.next_seq();
        if actual != expected_seq && guards.keep(Guard::MigratePlace) {
            return Ok(Moved::Conflict { actual });
        }
        row.epoch += u64::from(guards.keep(Guard::MigrateEpoch));
        let epoch = row.epoch;
        if guards.keep(Guard::MigrateEntry) {
            row.append(guards, epoch, &[entry]);
        }
        if let Some((version, plan)) = moves {
            if guards.keep(Guard::MigrateVersion) {
                row.version = version;
            }
            if guards.keep(Guard::MigratePlan) {
                row.plan = plan;
            }
        }
        if guards.keep(Guard::MigrateSnapshot) {
            row.snapshot = None;
        }
        if guards.keep(Guard::MigrateWakes) {
            row.wake(guards, now);
            row.rung_at = None;
        }
        row.updated_at = now;
        Ok(Moved::Moved {
            next_seq: row.next_seq(),
        })
    }
}
