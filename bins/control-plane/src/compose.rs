//! The only file that names drivers: from settings to an engine that starts what others drive.

use std::sync::Arc;

use nebula::{Nebula, engine::QueueKind, ports::QueueSource};
use nebula_control_plane::Composed;
use nebula_fleet::{
    compose::{self, NoPrograms},
    settings::{Loaded, Settings as _},
};
use nebula_program::failure::Failure;
use nebula_serve::{Duties, Share};
use nebula_trigger_mqtt::{Mqtt, Trusting};

use crate::settings::ControlPlaneSettings;

/// An engine over what the settings name.
pub(crate) async fn compose(loaded: &Loaded<ControlPlaneSettings>) -> Result<Composed, Failure> {
    let settings = &loaded.settings;
    let opened = compose::open(loaded, crate::VERSION).await?;
    let store = &opened.store;
    let trusting = nebula_http_reqwest::trusting(&settings.connections.ca_files);
    let trusting = trusting
        .map_err(|error| Failure::environment("HTTP", format!("no way out over TLS: {error}")))?;
    let (trusting, clock): (Trusting, _) = (Arc::new(trusting), &opened.clock);
    let mqtt = Mqtt::new(clock.clone(), trusting.clone());
    #[cfg_attr(
        not(feature = "redis"),
        expect(unused_mut, reason = "there is one kind")
    )]
    let mut queues: Vec<(_, Arc<dyn QueueSource>)> = vec![(QueueKind::Mqtt, Arc::new(mqtt))];
    #[cfg(feature = "redis")]
    {
        let streams = nebula_trigger_redis::RedisStreams::new(clock.clone(), trusting);
        queues.push((QueueKind::Redis, Arc::new(streams)));
    }
    let folders =
        nebula_action_file::Folders::new(opened.offload.clone(), opened.protected.clone());
    let mut nebula = Nebula::without_worker(
        store.executions.clone(),
        store.workflows.clone(),
        opened.queue.clone(),
    )
    .tenants(store.tenants.clone())
    .triggers(store.triggers.clone())
    .values(opened.values.clone())
    .clock(opened.clock.clone())
    .http(opened.http.clone())
    .http_policy(settings.http.clone())
    .credentials(opened.access.clone())
    .actions(compose::actions(
        &opened,
        &settings.groups(),
        Arc::new(NoPrograms),
    ))
    .folders(Arc::new(folders))
    .queues(queues, opened.secrets.clone())
    .engine(settings.engine.clone())
    .resume_key(opened.resume.clone());
    for source in &opened.sources {
        nebula = nebula.metrics_source(source.clone());
    }
    if let Some(relay) = &opened.relay {
        nebula = nebula.relay(relay.clone());
    }
    let nebula = nebula
        .build()
        .map_err(|error| Failure::invalid("SETTINGS", error.to_string()))?;
    // Nobody hears a queue of this process alone: workers find with their own sweeps what was started, and a
    // ring here would keep them from it for a while.
    let sweep = match opened.queue_is_shared {
        true => Share::One,
        false => Share::Others,
    };
    let duties = Duties {
        sweep,
        fire: Share::One,
    };
    Ok(Composed {
        nebula,
        opened,
        duties,
    })
}
