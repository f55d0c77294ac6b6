//! Looks with an action, for triggers that poll, and brings them what is new.

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use nebula_action::{ActionKind, Grants};
use nebula_core::{BoxFuture, TenantId, Timestamp};
use nebula_execution::{End, ExecutionPlan, StartOptions, Status};
use nebula_expression::{JsonScope, Program};
use nebula_parameter::ExpressionProblem;
use nebula_ports::{Bringing, Brought, ErrorKind, Looked, Result, TriggerRecord, TriggerRepo};
use nebula_trigger::{CursorBy, Poll, Polled, Settled, Sight, claimed_until};
use nebula_workflow::WorkflowDefinition;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{
    Engine, FireConfig, Installed,
    firing::{Ready, SOON, context_at, scope_of, settle},
    hooks::bare_expression,
    watching::{FAILED, claimed, could_look_again, looked_in_vain},
};

/// How many looks are under way at a time.
pub const MAX_LOOKS: usize = 16;
/// After what time a look is tried again for which there was no room.
const NO_ROOM: Duration = Duration::from_secs(1);

/// What is looked with.
#[derive(Debug, Clone)]
pub struct Look {
    /// For whose trigger.
    pub tenant: TenantId,
    /// A workflow of one node, whose result is its output.
    pub definition: WorkflowDefinition,
    /// `$trigger`.
    pub trigger: Value,
    /// `$vars`.
    pub vars: Value,
    /// Where relative paths begin.
    pub folder: PathBuf,
    /// How long it may take.
    pub timeout: Duration,
}

/// Executes what triggers look with, so that no record is left: what an execution of its own would be, without
/// a journal that anybody reads.
pub trait Looker: fmt::Debug + Send + Sync + 'static {
    /// The result of a look; the text says why there is none.
    ///
    /// # Cancel safety
    /// A dropped call is over; it has changed nothing, since what looks only reads.
    fn look(&self, look: Look) -> BoxFuture<'_, std::result::Result<Value, String>>;
}

/// What may be looked with: one action that changes nothing, which was granted with the publication.
///
/// # Errors
/// The text says why it may not.
pub fn check_look(plan: &ExecutionPlan) -> std::result::Result<(), String> {
    let [node] = plan.nodes.as_slice() else {
        return Err("a look has one node".to_owned());
    };
    if let ActionKind::Control(_) = node.kind {
        return Err(format!(
            "`{}` steers an execution, and looks at nothing",
            node.action
        ));
    }
    match node.effect.writes() {
        true => Err(format!(
            "`{}` is {} with these parameters, and a look changes nothing",
            node.action,
            node.effect.as_str()
        )),
        false => Ok(()),
    }
}

/// What a look starts with: what its node asks for is granted, as whoever published it has seen.
///
/// # Errors
/// A `requires` gives no capability.
pub fn look_options(
    engine: &Engine,
    installed: &Installed,
    look: &Look,
) -> std::result::Result<StartOptions, String> {
    let requests = engine.requests(&installed.plan, &json!({}), &look.folder);
    let requests = requests.map_err(|error| error.to_string())?;
    Ok(StartOptions {
        grants: Grants::new(requests.into_iter().map(|request| request.capability)),
        folder: Some(look.folder.clone()),
        vars: look.vars.clone(),
        trigger: look.trigger.clone(),
        ..StartOptions::default()
    })
}

/// What a look that has ended found.
///
/// # Errors
/// How it ended instead.
pub fn found_by(end: End) -> std::result::Result<Value, String> {
    match (end.output, end.failure) {
        (Some(output), _) => Ok(Arc::unwrap_or_clone(output)),
        (None, Some(failure)) => {
            let (code, message) = (&failure.error.code, &failure.error.message);
            Err(format!("{code}: {message}"))
        }
        (None, None) if end.status == Status::TimedOut => {
            Err("it took longer than its `timeout`".to_owned())
        }
        (None, None) => Err(format!("it ended as {}", end.status.as_str())),
    }
}

/// A look that is under way; it has written what it came to when it ends.
pub(crate) type Looking = BoxFuture<'static, ()>;

impl Engine {
    /// Begins a look, which nobody else begins meanwhile; the future goes on with it, and is worth polling
    /// beside everything else. Whether the trigger stands elsewhere then.
    pub(crate) async fn begin_look(
        &self,
        triggers: &Arc<dyn TriggerRepo>,
        config: &FireConfig,
        (ready, poll): (&Ready, Poll),
        (tenant, record, now): (&TenantId, &TriggerRecord, Timestamp),
        (under_way, shutdown): (usize, &CancellationToken),
    ) -> Result<(bool, Option<Looking>)> {
        let at = move |then: Timestamp| Settled {
            through: then,
            due: Some(then),
        };
        let of = (tenant, record, now);
        let Some(looker) = self.ports.looker.clone() else {
            let why = format!("{FAILED}this engine was given nothing that looks");
            let looked = looked_in_vain(triggers, of, poll.every, &why);
            return Ok((looked.await?, None));
        };
        if under_way >= MAX_LOOKS {
            // Those behind it have their turn.
            let then = at(now.plus(NO_ROOM));
            return Ok((settle(triggers, (tenant, record), then, None).await?, None));
        }
        let until = claimed_until(now, poll.timeout);
        let Some(record) = claimed(&**triggers, tenant, record, until).await? else {
            return Ok((true, None));
        };
        let (engine, triggers, tenant) = (self.clone(), Arc::clone(triggers), tenant.clone());
        let (plan, config) = (ready.plan_of(), config.clone());
        let (timezone, stop) = (ready.timezone().to_owned(), shutdown.clone());
        Ok((
            true,
            Some(Box::pin(async move {
                let of = (&tenant, &record, now);
                let look = Looks {
                    looker: &*looker,
                    plan: &plan,
                    config: &config,
                    timezone: &timezone,
                };
                let (workflow, trigger) = (&record.workflow, &record.trigger);
                let looked = tokio::select! {
                    biased;
                    // Somebody else may look at once.
                    () = stop.cancelled() => {
                        let then = at(now);
                        settle(&triggers, (&tenant, &record), then, None).await.map(drop)
                    }
                    looked = engine.look(&triggers, &look, &poll, of) => looked,
                };
                if let Err(error) = looked {
                    warn!(%workflow, %trigger, %error, "what a look found cannot be written; it is made again");
                }
            })),
        ))
    }

    /// Makes a look, and brings the trigger what is new, with where it stands then.
    async fn look(
        &self,
        triggers: &Arc<dyn TriggerRepo>,
        look: &Looks<'_>,
        poll: &Poll,
        (tenant, record, now): (&TenantId, &TriggerRecord, Timestamp),
    ) -> Result<()> {
        let (workflow, trigger) = (&record.workflow, &record.trigger);
        let cursor = triggers.cursor(tenant, workflow, trigger).await?;
        let sight = match look
            .sight(poll, cursor.as_ref(), (tenant, record, now))
            .await
        {
            Ok(sight) => sight,
            Err(why) => {
                let (of, why) = ((tenant, record, now), format!("{FAILED}{why}"));
                looked_in_vain(triggers, of, poll.every, &why).await?;
                return Ok(());
            }
        };
        let Some(expected) = could_look_again(triggers, (tenant, record)).await? else {
            return Ok(());
        };
        let next = now.plus(sight.again.unwrap_or(poll.every).max(SOON));
        let items = sight.items.len();
        let brings = Bringing {
            items: sight.items,
            looked: Some(Looked {
                expected,
                cursor: sight.cursor,
                through: next,
                due: Some(next),
            }),
        };
        let why = match triggers.bring(tenant, workflow, trigger, brings).await {
            Ok(Brought::Taken { .. }) => {
                if items > 0 {
                    info!(%workflow, %trigger, items, "a look has found something new");
                }
                return Ok(());
            }
            // It was paused or published anew, or somebody took the look for dead.
            Ok(Brought::Conflict { .. } | Brought::Unknown) => return Ok(()),
            Ok(Brought::Full) => "as much waits at the trigger as may".to_owned(),
            Err(error) if error.kind == ErrorKind::Invalid => format!(
                "{}; let `items` say less of each, like `$json.map(o => ({{ id: o.id }}))`",
                error.message
            ),
            Err(error) => return Err(error),
        };
        let record = TriggerRecord {
            revision: expected,
            ..record.clone()
        };
        let why = format!("{FAILED}{why}");
        looked_in_vain(triggers, (tenant, &record, now), poll.every, &why).await?;
        Ok(())
    }
}

/// What looks are made with.
struct Looks<'a> {
    looker: &'a dyn Looker,
    plan: &'a ExecutionPlan,
    config: &'a FireConfig,
    timezone: &'a str,
}

impl Looks<'_> {
    /// What a look comes to; the text says why it comes to nothing.
    async fn sight(
        &self,
        poll: &Poll,
        cursor: Option<&Value>,
        (tenant, record, now): (&TenantId, &TriggerRecord, Timestamp),
    ) -> std::result::Result<Sight, String> {
        let workflow = poll.workflow(record.workflow.as_str(), self.timezone);
        let definition = WorkflowDefinition::from_json(&workflow).map_err(|problems| {
            let first = problems.into_iter().next();
            first.map_or_else(String::new, |it| it.message)
        })?;
        let told = json!({
            "id": record.trigger,
            "type": record.kind,
            "scheduled_at": now.to_string(),
            "cursor": Poll::shown(cursor),
        });
        let look = Look {
            tenant: tenant.clone(),
            definition,
            trigger: told.clone(),
            vars: self.config.vars.clone(),
            folder: self.config.folder.clone(),
            timeout: poll.timeout,
        };
        let result = self.looker.look(look).await?;
        let mut scope = scope_of(self.config, self.plan, &told);
        scope["json"] = result;
        let found = items(poll, &mut scope, now)?;
        poll.compare(cursor, found)
    }
}

/// The items of a result, each with what says whether it is new.
fn items(
    poll: &Poll,
    scope: &mut Value,
    now: Timestamp,
) -> std::result::Result<Vec<Polled>, String> {
    let context = context_at(now);
    let list = match &poll.items {
        None => scope["json"].clone(),
        Some(source) => {
            let program = program("items", source)?;
            let found = program.evaluate(&JsonScope(scope), &context);
            found
                .map_err(|error| format!("`items`: {}", error.message))?
                .unwrap_or_default()
        }
    };
    let list = match list {
        Value::Array(list) => list,
        Value::Null => {
            let shown = poll.items.as_deref().unwrap_or("$json");
            return Err(format!(
                "`{shown}` gives nothing, where a list is expected; write `… ?? []` if that is right"
            ));
        }
        one => vec![one],
    };
    let (field, source) = match &poll.cursor {
        CursorBy::Whole => {
            let whole = list.into_iter().map(|item| Polled {
                mark: item.clone(),
                item,
            });
            return Ok(whole.collect());
        }
        CursorBy::Key(source) => ("cursor.key", source),
        CursorBy::Time(source) => ("cursor.time", source),
    };
    let program = program(field, source)?;
    let mut found = Vec::with_capacity(list.len());
    for (place, item) in list.into_iter().enumerate() {
        scope["item"] = item;
        scope["index"] = place.into();
        let mark = program.evaluate(&JsonScope(scope), &context);
        let mark = mark.map_err(|error| format!("`{field}` of item {place}: {}", error.message))?;
        let mark = mark.filter(|mark| !mark.is_null());
        let mark = mark.ok_or_else(|| format!("`{field}` of item {place} gives nothing"))?;
        found.push(Polled {
            mark,
            item: scope["item"].take(),
        });
    }
    Ok(found)
}

/// The planner has refused what cannot be compiled; a later build may know less.
fn program(field: &str, source: &str) -> std::result::Result<Program, String> {
    bare_expression(source).map_err(|problems: Vec<ExpressionProblem>| {
        let first = problems.into_iter().next();
        let first = first.map_or_else(String::new, |it| it.error.message.clone());
        format!("`{field}`: {first}")
    })
}
