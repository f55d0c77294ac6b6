//! Listens to queues elsewhere, for triggers, and brings them the messages that come.

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use nebula_action::{Capability, Egress, Grants};
use nebula_core::{SecretId, TenantId, Timestamp};
use nebula_ports::{
    Bringing, Brought, ErrorKind, Handing, LeftOut, Message, Messages, Payload, PortError,
    QueueSource, Result, SecretsStore, Subscribing, TriggerRecord, TriggerRepo, TriggerState,
};
use nebula_trigger::{Queue, QueueKind};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{
    Engine, FireConfig,
    firing::left_out,
    polling::Looking,
    watching::{changed, claimed, looked_in_vain},
};

/// How it begins why nobody listens.
const FAILED: &str = "could not listen: ";
/// To how many queues one process listens at a time; others are for other processes.
pub const MAX_LISTENERS: usize = 256;
/// For how long a trigger is that of whoever listens for it; whoever dies is replaced then.
const CLAIM: Duration = Duration::from_secs(20);
/// How often is looked whether somebody still listens for the trigger, and it is still that one.
const LOOK: Duration = Duration::from_secs(5);
/// When it is tried again to listen, or to bring what had no room.
const AGAIN: Duration = Duration::from_secs(10);
const ROOM: Duration = Duration::from_secs(1);
/// How long it may take to be let in.
const TIMEOUT: Duration = Duration::from_secs(15);

/// Queues, and the secrets with which one is let in there.
#[derive(Debug, Clone)]
pub struct Queues {
    /// The queues of each kind.
    pub sources: BTreeMap<QueueKind, Arc<dyn QueueSource>>,
    /// The secrets that triggers name.
    pub secrets: Arc<dyn SecretsStore>,
}

/// Why somebody stops to listen.
enum Stops {
    /// The trigger is paused, is another one, or is that of somebody else.
    NotOurs,
    /// The published version listens to the same otherwise.
    Anew,
    /// No published version listens to that any more.
    Gone,
    /// The queue, or the store, failed.
    Failed(PortError),
}

impl From<PortError> for Stops {
    fn from(error: PortError) -> Self {
        Self::Failed(error)
    }
}

impl Engine {
    /// Begins to listen for a trigger, which nobody else does meanwhile; the future goes on with it. Whether
    /// the trigger stands elsewhere then.
    pub(crate) async fn begin_listening(
        &self,
        triggers: &Arc<dyn TriggerRepo>,
        config: &FireConfig,
        queue: Queue,
        (tenant, record, now): (&TenantId, &TriggerRecord, Timestamp),
        (under_way, shutdown): (usize, &CancellationToken),
    ) -> Result<(bool, Option<Looking>)> {
        let Some(queues) = self.ports.queues.clone() else {
            let why = format!("{FAILED}this engine was given no queues to listen to");
            let of = (tenant, record, now);
            return Ok((looked_in_vain(triggers, of, AGAIN, &why).await?, None));
        };
        let Some(source) = queues.sources.get(&queue.kind).cloned() else {
            let kind = queue.kind.as_str();
            let why = format!("{FAILED}this engine was given no queues of the type `{kind}`");
            let of = (tenant, record, now);
            return Ok((looked_in_vain(triggers, of, AGAIN, &why).await?, None));
        };
        if under_way >= MAX_LISTENERS {
            let (of, why) = (
                (tenant, record, now),
                format!("{FAILED}this process listens to {MAX_LISTENERS} queues"),
            );
            return Ok((looked_in_vain(triggers, of, AGAIN, &why).await?, None));
        }
        let Some(record) = claimed(&**triggers, tenant, record, now.plus(CLAIM)).await? else {
            return Ok((true, None));
        };
        let listener = Listener {
            engine: self.clone(),
            triggers: Arc::clone(triggers),
            source,
            secrets: queues.secrets,
            queue,
            tenant: tenant.clone(),
            record,
            stop: shutdown.clone(),
        };
        let folder = config.folder.clone();
        Ok((true, Some(Box::pin(listener.run(folder)))))
    }
}

/// Whoever listens for one trigger.
struct Listener {
    engine: Engine,
    triggers: Arc<dyn TriggerRepo>,
    source: Arc<dyn QueueSource>,
    secrets: Arc<dyn SecretsStore>,
    queue: Queue,
    tenant: TenantId,
    /// As it stood when it was last moved from here.
    record: TriggerRecord,
    stop: CancellationToken,
}

impl Listener {
    async fn run(mut self, folder: std::path::PathBuf) {
        let (workflow, trigger) = (self.record.workflow.clone(), self.record.trigger.clone());
        let stop = self.stop.clone();
        let stops = tokio::select! {
            biased;
            () = stop.cancelled() => Stops::Anew,
            stops = self.listens(&folder) => stops,
        };
        let told = match stops {
            Stops::Anew => self.released().await,
            Stops::NotOurs | Stops::Gone => Ok(()),
            Stops::Failed(error) => {
                let why = format!("{FAILED}{}", error.message);
                self.failed(&why).await
            }
        };
        if let Err(error) = told {
            warn!(%workflow, %trigger, %error, "whoever listens next for it waits until its time is over");
        }
    }

    /// Listens until there is a reason not to.
    async fn listens(&mut self, folder: &Path) -> Stops {
        let mut messages = match self.let_in(folder).await {
            Ok(messages) => messages,
            Err(error) => return error.into(),
        };
        let (workflow, trigger) = (&self.record.workflow, &self.record.trigger);
        info!(%workflow, %trigger, broker = self.queue.address, "listening");
        let stops = match self.hears(&mut *messages).await {
            Err(stops) => stops,
            Ok(never) => match never {},
        };
        if let Stops::Gone = stops {
            // What nobody takes any more is not to be kept for it.
            let left = tokio::select! {
                biased;
                left = messages.leave() => left,
                () = self.engine.ports.clock.sleep(TIMEOUT) => Ok(()),
            };
            if let Err(error) = left {
                info!(%error, "the queue may keep messages that nobody takes");
            }
        }
        stops
    }

    async fn let_in(&self, folder: &Path) -> Result<Box<dyn Messages>> {
        let (queue, record) = (&self.queue, &self.record);
        let invalid = |message: String| {
            PortError::new(ErrorKind::Invalid, "engine", "listen to a queue", message)
        };
        let login = match &queue.login {
            None => None,
            Some((user, secret)) => {
                let id =
                    SecretId::new(secret.as_str()).map_err(|error| invalid(error.to_string()))?;
                let found = self.secrets.get(&self.tenant, &id).await?;
                let missing = || invalid(format!("the secret `{secret}` is not there"));
                Some((user.clone(), found.ok_or_else(missing)?))
            }
        };
        // Its own address was granted with the publication, where it stands.
        let own = format!("net:{}", queue.address);
        let mut capabilities = Vec::new();
        for text in queue.requires.iter().chain([&own]) {
            let capability = Capability::parse(text, folder);
            capabilities.push(capability.map_err(|error| invalid(format!("{text}: {error}")))?);
        }
        let (workflow, trigger) = (record.workflow.as_str(), record.trigger.as_str());
        let since = record.definition["since"].as_str();
        let wanted = Subscribing {
            consumer: queue.consumer(self.tenant.as_str(), workflow, trigger),
            group: queue.group.clone(),
            since: since.and_then(|it| it.parse().ok()),
            address: queue.address.clone(),
            tls: queue.tls,
            names: queue.topics.clone(),
            handing: match queue.keeps {
                true => Handing::UntilAcknowledged,
                false => Handing::Once,
            },
            login,
            egress: Egress::new(&Grants::new(capabilities)),
            timeout: TIMEOUT,
        };
        self.source.listen(wanted).await
    }

    /// Takes messages, and looks now and then whether they are still wanted.
    async fn hears(&mut self, messages: &mut dyn Messages) -> std::result::Result<Never, Stops> {
        self.heard().await?;
        let clock = Arc::clone(&self.engine.ports.clock);
        loop {
            let look = clock.sleep(LOOK);
            tokio::pin!(look);
            loop {
                let message = tokio::select! {
                    biased;
                    () = &mut look => break,
                    message = messages.next() => message?,
                };
                self.takes(messages, message).await?;
            }
            self.keeps().await?;
        }
    }

    /// Brings a message, and says then that it need not come again.
    async fn takes(
        &mut self,
        messages: &mut dyn Messages,
        message: Message,
    ) -> std::result::Result<(), Stops> {
        let (workflow, trigger) = (self.record.workflow.clone(), self.record.trigger.clone());
        let (name, again) = (&message.name, message.again);
        let told = match &message.payload {
            Payload::Bytes(payload) => self.queue.told(name, payload, again, message.kept),
            Payload::Fields(fields) => {
                let id = message.id.as_deref().unwrap_or_default();
                let fields = fields.iter().map(|(name, value)| (&**name, &**value));
                self.queue.told_entry((name, id), fields, again)
            }
        };
        let mut why = told.as_ref().err().cloned();
        while let (Ok(told), None) = (&told, &why) {
            let brings = Bringing {
                items: vec![told.clone()],
                looked: None,
            };
            let brought = self
                .triggers
                .bring(&self.tenant, &workflow, &trigger, brings);
            match brought.await {
                Ok(Brought::Taken { .. }) => {
                    self.engine.triggers_changed.notify_one();
                    break;
                }
                Ok(Brought::Full) if message.receipt.is_some() => {
                    // Others wait at the queue meanwhile.
                    self.engine.ports.clock.sleep(ROOM).await;
                    messages.keep_alive().await?;
                    self.keeps().await?;
                }
                Ok(Brought::Full) => why = Some("as much waits at the trigger as may".to_owned()),
                Ok(Brought::Unknown | Brought::Conflict { .. }) => return Err(Stops::Gone),
                Err(error) if error.kind == ErrorKind::Invalid => {
                    why = Some(format!(
                        "a message of `{}` is {}",
                        message.name, error.message
                    ));
                }
                Err(error) => return Err(error.into()),
            }
        }
        if let Some(why) = why {
            warn!(%workflow, %trigger, why, "a message starts nothing");
            self.engine.bus.metrics().trigger_left_out();
            self.shows(Some(&why)).await?;
        }
        match message.receipt {
            Some(receipt) => Ok(messages.acknowledge(receipt).await?),
            None => Ok(()),
        }
    }

    /// The trigger as it is now; an error if it is not for us to listen for it any more.
    async fn now(&self) -> std::result::Result<TriggerRecord, Stops> {
        let (workflow, trigger) = (&self.record.workflow, &self.record.trigger);
        let record = self.triggers.get(&self.tenant, workflow, trigger).await?;
        let record = record.ok_or(Stops::Gone)?;
        let mut fields = record.definition["fields"].as_object().cloned();
        if let Some(fields) = &mut fields {
            // Of every trigger, and none of its kind.
            fields.remove("input");
        }
        let queue = fields.and_then(|it| Queue::read(&record.kind, &it)?.ok());
        match queue {
            Some(queue) if queue == self.queue => {}
            // Of the same messages, something else is taken, or as somebody else.
            Some(queue) if queue.pace() == self.queue.pace() => return Err(Stops::Anew),
            _ => return Err(Stops::Gone),
        }
        match record.state.paused {
            true => Err(Stops::NotOurs),
            false => Ok(record),
        }
    }

    /// Keeps the trigger for a while longer, if it is still for us to listen for it.
    async fn keeps(&mut self) -> std::result::Result<(), Stops> {
        loop {
            let record = self.now().await?;
            // Whoever takes us for dead moves it, and so does a publication that begins it anew.
            if record.state.through != self.record.state.through {
                return Err(Stops::NotOurs);
            }
            let now = self.triggers.due(0).await?.now;
            if record.state.through.since(now) >= CLAIM / 2 {
                return Ok(());
            }
            if let Some(record) =
                claimed(&*self.triggers, &self.tenant, &record, now.plus(CLAIM)).await?
            {
                self.record = record;
                return Ok(());
            }
        }
    }

    /// What failed before is shown no longer.
    async fn heard(&mut self) -> std::result::Result<(), Stops> {
        let failed = |it: &LeftOut| it.why.starts_with(FAILED);
        match self.record.state.left_out.as_ref().is_some_and(failed) {
            true => self.shows(None).await,
            false => Ok(()),
        }
    }

    /// Shows why something started nothing.
    async fn shows(&mut self, why: Option<&str>) -> std::result::Result<(), Stops> {
        loop {
            let record = self.now().await?;
            let now = self.engine.ports.clock.now();
            let state = TriggerState {
                left_out: why.map(|why| left_out(now, now, why)),
                ..record.state.clone()
            };
            if changed(&*self.triggers, &self.tenant, &record, state)
                .await?
                .is_some()
            {
                return Ok(());
            }
        }
    }

    /// Somebody else may listen at once.
    async fn released(&self) -> Result<()> {
        let (workflow, trigger) = (&self.record.workflow, &self.record.trigger);
        loop {
            let record = self.triggers.get(&self.tenant, workflow, trigger).await?;
            let ours = record.filter(|it| it.state.through == self.record.state.through);
            let Some(record) = ours else {
                return Ok(());
            };
            let now = self.triggers.due(0).await?.now;
            if claimed(&*self.triggers, &self.tenant, &record, now)
                .await?
                .is_some()
            {
                return Ok(());
            }
        }
    }

    /// Shows that it cannot be listened, and lets it be tried again in a while.
    async fn failed(&self, why: &str) -> Result<()> {
        let Ok(record) = self.now().await else {
            return Ok(());
        };
        if record.state.through != self.record.state.through {
            // Somebody else listens, or will.
            return Ok(());
        }
        let now = self.triggers.due(0).await?.now;
        let of = (&self.tenant, &record, now);
        looked_in_vain(&self.triggers, of, AGAIN, why).await?;
        Ok(())
    }
}

/// There is none: somebody who listens stops for a reason.
enum Never {}
