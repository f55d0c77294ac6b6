//! The credentials of an attempt: opened when its start is in the journal, gone when it ends.
//!
//! What the journal, the inbox, the plan and a snapshot know of a credential is its id. The values live
//! in the future of the attempt alone, and whatever comes out of it is read for them first.

use std::{sync::Arc, time::Duration};

use nebula_access::Access;
use nebula_action::{
    Action, ActionContext, ActionError, ActionResult, Capability, Credentials, ErrorClass,
    HeldCredential, Reconciled,
};
use nebula_core::{Clock, CredentialId};
use nebula_credential::{Credential, Redactor};
use nebula_execution::{InstanceId, PlanCredential};
use nebula_ports::CredentialUser;
use nebula_telemetry::{Redact, redacting};
use tracing::warn;

use crate::{blobs::searched, drive::Drive, evaluate::node_of, lease::LeaseEnd};

/// What an attempt opens before it begins.
pub(crate) struct Opening {
    access: Option<Access>,
    clock: Arc<dyn Clock>,
    lease: LeaseEnd,
    wanted: Vec<Wanted>,
    user: CredentialUser,
}

struct Wanted {
    credential: PlanCredential,
    /// The types that the action can use there.
    types: Vec<String>,
}

/// What an attempt has opened, for what comes out of it.
pub(crate) struct Opened {
    secrets: Arc<Redactor>,
    ids: Vec<CredentialId>,
}

impl Drive {
    /// What an attempt of this instance opens; `None` if its node names no credential.
    pub(crate) fn opening(
        &self,
        instance: &InstanceId,
        attempt: u32,
        action: &dyn Action,
    ) -> Option<Box<Opening>> {
        let plan = self.machine.plan();
        if !plan.names_credentials() {
            return None;
        }
        let node = plan.node(node_of(plan, instance));
        let named = match self.machine.compensates(instance) {
            true => &node.compensation.as_deref()?.credentials,
            false => &node.credentials,
        };
        if named.is_empty() {
            return None;
        }
        let slots = &action.metadata().credentials;
        let wanted = named.iter().map(|credential| {
            let slot = slots.iter().find(|slot| *slot.name == *credential.slot);
            Wanted {
                credential: credential.clone(),
                types: slot.map(|slot| slot.types.clone()).unwrap_or_default(),
            }
        });
        Some(Box::new(Opening {
            access: self.shared.ports.access.clone(),
            clock: self.shared.ports.clock.clone(),
            lease: self.lease_end.clone(),
            wanted: wanted.collect(),
            user: CredentialUser::Attempt {
                execution: self.lease.execution,
                node: instance.node.to_string(),
                attempt,
            },
        }))
    }
}

impl Opening {
    /// Gives the attempt its credentials, out of its own time; nothing has happened outside if that
    /// fails.
    pub(crate) async fn open(self, context: &mut ActionContext) -> Result<Opened, ActionError> {
        let start = self.clock.monotonic();
        let (cancellation, timeout) = (context.cancellation.clone(), context.timeout);
        let credentials = tokio::select! {
            biased;
            () = cancellation.cancelled() => {
                let message = "it was told to stop while its credentials were opened";
                return Err(ActionError::new("CANCELLED", message, ErrorClass::Cancelled));
            }
            opened = self.all(context) => opened?,
            () = self.clock.sleep(timeout) => {
                let message = "its credentials could not be opened within its timeout; raise the `timeout` of the node if that is usual";
                return Err(ActionError::retryable("CREDENTIAL_TIMEOUT", message));
            }
        };
        let secrets = Redactor::of(credentials.iter().map(|(_, credential)| &**credential));
        let secrets = Arc::new(secrets);
        let ids = self.wanted.iter().map(|it| it.credential.id.clone());
        let ids = ids.collect();
        let held = credentials.into_iter().map(|(wanted, credential)| {
            HeldCredential::new(&wanted.slot, wanted.id.clone(), credential)
        });
        context.credentials = Credentials::new(held.collect());
        context.blobs = context.blobs.take().map(|blobs| searched(blobs, &secrets));
        let seen = Arc::clone(&secrets);
        context.heartbeat = context.heartbeat.through(move |progress| {
            #[cfg(sim_bug)]
            if nebula_core::sim_bug::is_awake("progress-keeps-its-secrets") {
                return;
            }
            seen.progress(progress);
        });
        let spent = self.clock.monotonic().saturating_sub(start);
        let least = Duration::from_millis(1).min(timeout);
        context.timeout = timeout.saturating_sub(spent).max(least);
        Ok(Opened { secrets, ids })
    }

    async fn all(
        &self,
        context: &ActionContext,
    ) -> Result<Vec<(&PlanCredential, Arc<Credential>)>, ActionError> {
        let mut opened = Vec::with_capacity(self.wanted.len());
        for wanted in &self.wanted {
            let credential = self.one(context, wanted).await?;
            opened.push((&wanted.credential, Arc::new(credential)));
        }
        // That took its time, and what follows acts.
        self.lease.ours(&*self.clock).await;
        Ok(opened)
    }

    async fn one(
        &self,
        context: &ActionContext,
        wanted: &Wanted,
    ) -> Result<Credential, ActionError> {
        let id = &wanted.credential.id;
        let capability = Capability::Secret(id.to_string());
        if !context.grants.allow(&capability) {
            let what = format!("node `{}` may not use the credential `{id}`", context.node);
            if let Some(access) = &self.access {
                access.denied(&context.tenant, id, &self.user, &what).await;
            }
            return Err(ActionError::denied(what, &capability));
        }
        let Some(access) = &self.access else {
            let message = "this engine was built without a store of credentials";
            return Err(ActionError::fatal("CREDENTIAL_UNAVAILABLE", message));
        };
        let opened = access.open(&context.tenant, id, &self.user).await;
        let credential = opened.map_err(|error| error.of_attempt())?.credential;
        let kind = credential.kind().name();
        if wanted.types.iter().any(|it| it == kind) {
            return Ok(credential);
        }
        let message = format!(
            "the credential `{id}` is of type {kind}; the slot `{}` of node `{}` takes {}",
            wanted.credential.slot,
            context.node,
            wanted.types.join(", ")
        );
        Err(ActionError::fatal("CREDENTIAL_TYPE", message))
    }
}

impl Opened {
    /// What its log lines go through.
    pub(crate) fn of_log(&self) -> Redact {
        let secrets = Arc::clone(&self.secrets);
        Redact::new(move |text| secrets.text(text))
    }

    /// Takes what an attempt gave, without the secrets that it used.
    pub(crate) fn clean(
        &self,
        mut result: Result<ActionResult, ActionError>,
    ) -> Result<ActionResult, ActionError> {
        #[cfg(sim_bug)]
        if nebula_core::sim_bug::is_awake(match &result {
            Ok(_) => "values-keep-their-secrets",
            Err(_) => "errors-keep-their-secrets",
        }) {
            return result;
        }
        let found = match &mut result {
            Ok(given) => {
                let port = given.port.as_deref().and_then(|it| self.secrets.text(it));
                let in_port = usize::from(port.is_some());
                given.port = port.or(given.port.take());
                in_port + self.secrets.value(&mut given.value)
            }
            Err(error) => self.secrets.error(error),
        };
        self.said(found);
        result
    }

    /// The same of what became of an attempt that was lost.
    pub(crate) fn clean_reconciled(
        &self,
        mut reconciled: Result<Reconciled, ActionError>,
    ) -> Result<Reconciled, ActionError> {
        let found = match &mut reconciled {
            Ok(Reconciled::Happened(value)) => self.secrets.value(value),
            Ok(_) => 0,
            Err(error) => self.secrets.error(error),
        };
        self.said(found);
        reconciled
    }

    fn said(&self, found: usize) {
        if found > 0 {
            let ids: Vec<_> = self.ids.iter().map(CredentialId::as_str).collect();
            let credentials = ids.join(", ");
            warn!(
                credentials,
                places = found,
                "an attempt gave back a secret that it used; it was taken out"
            );
        }
    }
}

/// Does the work of an attempt, whose log lines show nothing of what it has opened.
pub(crate) async fn logged_by<T>(opened: Option<&Opened>, work: impl Future<Output = T>) -> T {
    match opened {
        Some(opened) => redacting(opened.of_log(), work).await,
        None => work.await,
    }
}
