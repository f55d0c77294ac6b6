//! Looks at what triggers watch, and brings them what is new.

use std::{path::Path, sync::Arc, time::Duration};

use nebula_core::{TenantId, Timestamp};
use nebula_ports::{
    Bringing, Brought, ErrorKind, Looked, PortError, Result, TriggerRecord, TriggerRepo,
    TriggerState, TriggerUpdated,
};
use nebula_trigger::{FileWatch, Found, MAX_WATCHED, Settled};
use tracing::{info, warn};

use crate::{
    Engine, FireConfig,
    firing::{SOON, left_out, settle},
};

/// How it begins why a look failed.
pub(crate) const FAILED: &str = "could not look: ";

impl Engine {
    /// Looks at a folder that is watched, and brings its trigger what is new, with where it stands then, in
    /// one transaction; whether the trigger stands elsewhere then. A look that fails is shown and made again.
    pub(crate) async fn look_at_folder(
        &self,
        triggers: &Arc<dyn TriggerRepo>,
        config: &FireConfig,
        (tenant, record, now): (&TenantId, &TriggerRecord, Timestamp),
        watch: &FileWatch,
    ) -> Result<bool> {
        let (workflow, trigger) = (&record.workflow, &record.trigger);
        let cursor = triggers.cursor(tenant, workflow, trigger).await?;
        let found = match self.found(&config.folder, watch).await {
            Ok(found) => found,
            Err(error) => {
                let why = format!("{FAILED}{}", error.message);
                let of = (tenant, record, now);
                return looked_in_vain(triggers, of, watch.every, &why).await;
            }
        };
        let Some(expected) = could_look_again(triggers, (tenant, record)).await? else {
            return Ok(true);
        };
        let sight = watch.compare(cursor.as_ref(), &found, now);
        let next = now.plus(
            sight
                .again
                .unwrap_or(watch.every)
                .max(SOON)
                .min(watch.every),
        );
        let items = sight.items.len();
        let looked = Looked {
            expected,
            cursor: sight.cursor,
            through: next,
            due: Some(next),
        };
        let brings = Bringing {
            items: sight.items,
            looked: Some(looked),
        };
        let record = TriggerRecord {
            revision: expected,
            ..record.clone()
        };
        match triggers.bring(tenant, workflow, trigger, brings).await {
            Ok(Brought::Taken { .. }) => {
                if items > 0 {
                    info!(%workflow, %trigger, items, "files were found");
                }
                Ok(true)
            }
            // Whoever was before us has seen to it.
            Ok(Brought::Conflict { .. } | Brought::Unknown) => Ok(true),
            Ok(Brought::Full) => {
                let why = format!("{FAILED}as much waits at the trigger as may");
                looked_in_vain(triggers, (tenant, &record, now), watch.every, &why).await
            }
            Err(error) if error.kind == ErrorKind::Invalid => {
                let why = format!("{FAILED}{}", error.message);
                looked_in_vain(triggers, (tenant, &record, now), watch.every, &why).await
            }
            Err(error) => Err(error),
        }
    }

    async fn found(&self, folder: &Path, watch: &FileWatch) -> Result<Vec<Found>> {
        let folders = self.ports.folders.as_ref().ok_or_else(|| {
            let message = "this engine was given nothing that reads folders";
            PortError::new(
                ErrorKind::Unsupported,
                "engine",
                "look at a folder",
                message,
            )
        })?;
        let folder = folder.join(&watch.path);
        let found = folders
            .files(&folder, watch.pattern.as_deref(), MAX_WATCHED)
            .await?;
        let found = found.into_iter().map(|file| Found {
            name: file.name,
            size: file.size,
            modified: file.modified.as_millis(),
        });
        Ok(found.collect())
    }
}

/// A look that came to nothing: that is shown, and the next one is made after `every`.
pub(crate) async fn looked_in_vain(
    triggers: &Arc<dyn TriggerRepo>,
    (tenant, record, now): (&TenantId, &TriggerRecord, Timestamp),
    every: Duration,
    why: &str,
) -> Result<bool> {
    let (workflow, trigger) = (&record.workflow, &record.trigger);
    let known = record
        .state
        .left_out
        .as_ref()
        .is_some_and(|it| it.why == why);
    if !known {
        warn!(%workflow, %trigger, why, "what a trigger waits for cannot be asked; trying again");
    }
    let next = now.plus(every);
    let then = Settled {
        through: next,
        due: Some(next),
    };
    let why = (!known).then(|| left_out(now, now, why));
    settle(triggers, (tenant, record), then, why).await
}

/// A look that came to something: that the one before did not is shown no longer. The revision of the
/// trigger then; `None` if somebody else has moved it.
pub(crate) async fn could_look_again(
    triggers: &Arc<dyn TriggerRepo>,
    (tenant, record): (&TenantId, &TriggerRecord),
) -> Result<Option<u64>> {
    let failed = |it: &nebula_ports::LeftOut| it.why.starts_with(FAILED);
    if !record.state.left_out.as_ref().is_some_and(failed) {
        return Ok(Some(record.revision));
    }
    let state = TriggerState {
        left_out: None,
        ..record.state.clone()
    };
    let cleared = changed(&**triggers, tenant, record, state).await?;
    Ok(cleared.map(|record| record.revision))
}

/// Moves a trigger to `until`: it is due then, unless whoever looks or listens for it moves it further. `None` if it
/// has moved meanwhile.
pub(crate) async fn claimed(
    triggers: &dyn TriggerRepo,
    tenant: &TenantId,
    record: &TriggerRecord,
    until: Timestamp,
) -> Result<Option<TriggerRecord>> {
    let state = TriggerState {
        through: until,
        due: Some(until),
        ..record.state.clone()
    };
    changed(triggers, tenant, record, state).await
}

/// Changes where a trigger stands; `None` if it has changed meanwhile.
pub(crate) async fn changed(
    triggers: &dyn TriggerRepo,
    tenant: &TenantId,
    record: &TriggerRecord,
    state: TriggerState,
) -> Result<Option<TriggerRecord>> {
    let (workflow, trigger) = (&record.workflow, &record.trigger);
    let updated = triggers.update(tenant, workflow, trigger, record.revision, state.clone());
    Ok(match updated.await? {
        TriggerUpdated::Updated { revision } => Some(TriggerRecord {
            state,
            revision,
            ..record.clone()
        }),
        TriggerUpdated::Conflict { .. } | TriggerUpdated::Unknown => None,
    })
}
