//! What the runs of a body begin with, and who handles their failures.

use std::sync::Arc;

use compact_str::CompactString;
use nebula_action::{ActionError, ActionKind, ControlKind};
use nebula_execution::{
    Elements, Event, Failure, Given, InstanceId, Runs,
    control::{self, RoundOutcome},
};
use serde_json::Value;
use tracing::warn;

use crate::{
    drive::{Drive, Stop},
    evaluate::{self, node_of, unread},
    items::stored_of,
    prepare,
};

impl Drive {
    /// Finds out for which list the body of an instance runs.
    pub(crate) fn opens(&mut self, instance: InstanceId) {
        let opened = self.elements_of_body(&instance).and_then(|(list, more)| {
            let count = self.keep_list(instance.clone(), list)?;
            Ok((count, more))
        });
        match opened {
            Ok((count, more)) => self.tell(Event::Opened {
                instance,
                count,
                more,
            }),
            Err(error) => self.failed_with(instance, error, 0),
        }
    }

    /// The list of an instance whose body runs per element, the same after a crash, and the name of
    /// the signals that bring more.
    pub(crate) fn elements_of_body(
        &self,
        whole: &InstanceId,
    ) -> Result<(Elements, Option<CompactString>), ActionError> {
        let plan = self.machine.plan();
        let node = plan.node(node_of(plan, whole));
        let scope = evaluate::list_scope(&self.machine, whole);
        let context = evaluate::context(&self.machine, whole, &self.shared.ports.clock);
        let (input, list) = self.resolve_beside_items(node, &scope, &context)?;
        control::items(input, list)
    }

    /// Finds out what the body of an item or round begins with.
    pub(crate) async fn enter(&mut self, instance: InstanceId) -> Result<(), Stop> {
        let plan = self.machine.plan();
        let rounds =
            plan.node(node_of(plan, &instance)).kind == ActionKind::Control(ControlKind::Loop);
        let event = if rounds {
            self.round(&instance)
        } else {
            let item = self.item(&instance);
            match item.map(Option::unwrap_or_default) {
                // It is written down as a value.
                Ok(made @ (Given::Made(_) | Given::List(_))) => {
                    self.read_also(stored_of(&made)).await?;
                    made.value().map(Given::Value).map_err(|why| unread(&why))
                }
                item => item,
            }
            .map(|json| Event::Entered {
                instance: instance.clone(),
                json,
            })
        };
        match event {
            Ok(Event::Entered { instance, json }) => {
                let json = self.put_apart(json).await?;
                self.tell(Event::Entered { instance, json });
            }
            Ok(event) => self.tell(event),
            Err(error) => self.failed_with(instance, error, 0),
        }
        Ok(())
    }

    /// Whether there is another round, now or later.
    fn round(&self, instance: &InstanceId) -> Result<Event, ActionError> {
        let plan = self.machine.plan();
        let node = plan.node(node_of(plan, instance));
        let whole = instance.whole();
        let activation = evaluate::activation(&self.machine, &whole);
        let runs = activation.and_then(|activation| activation.runs.as_deref());
        let (index, last) = (instance.item.unwrap_or(0), runs.and_then(Runs::given));
        let waited = runs.is_some_and(|runs| runs.due.is_some());
        let scope = evaluate::scope(&self.machine, &whole, None).with_round(index, last.clone());
        let scope = Arc::new(scope);
        let context = evaluate::context(&self.machine, &whole, &self.shared.ports.clock);
        let input = self.resolve(node, &scope, &context)?;
        let mut deferred = prepare::deferred(node, &scope, &context);
        if let (Some(until), Some(ended)) = (deferred.get_mut("until"), index.checked_sub(1)) {
            // It is asked about the round that has just ended.
            let scope =
                evaluate::scope(&self.machine, &whole, None).with_round(ended, last.clone());
            *until = prepare::deferred(node, &Arc::new(scope), &context)
                .shift_remove("until")
                .unwrap_or_else(|| until.clone());
        }
        let instance = instance.clone();
        Ok(match control::round(&input, &deferred, index, waited)? {
            RoundOutcome::Over => Event::RoundsOver { instance },
            RoundOutcome::Enter => Event::Entered {
                json: last.unwrap_or_else(|| self.json(&whole)),
                instance,
            },
            RoundOutcome::Delay(span) => Event::Waits {
                instance,
                due: self.shared.ports.clock.now().plus(span),
            },
        })
    }

    /// Finds out which handler takes the failure of a body: the first whose condition holds. One
    /// whose condition has no value does not hold.
    pub(crate) fn catch(&mut self, instance: InstanceId, failure: &Failure) {
        let plan = self.machine.plan();
        let node = plan.node(node_of(plan, &instance));
        let scope = evaluate::scope(&self.machine, &instance, None).with_failure(failure);
        let scope = Arc::new(scope);
        let context = evaluate::context(&self.machine, &instance, &self.shared.ports.clock);
        let mut handler = None;
        for (path, condition) in prepare::deferred(node, &scope, &context) {
            let Some(name) = path.strip_prefix("catch/") else {
                continue;
            };
            match condition.holds(&Value::Null, 0) {
                Ok(true) => {
                    handler = plan.index_of(name).map(|node| plan.node(node).id.clone());
                    break;
                }
                Ok(false) => {}
                Err(error) => {
                    warn!(%instance, handler = name, %error, "a handler's condition has no value");
                }
            }
        }
        self.tell(Event::Caught { instance, handler });
    }
}
