//! What `nebula serve` exports to a receiver of OpenTelemetry.

use std::sync::Arc;

use nebula_system::SystemClock;
use nebula_telemetry::{LogError, LogOptions, Logging};

use crate::{compose::Composed, failure::Failure, settings::Loaded};

/// Copies of log lines that are to be exported, if any are.
#[derive(Debug, Clone, Default)]
pub(crate) struct Copies(#[cfg(feature = "otlp")] Option<nebula_telemetry::LogCopies>);

/// Begins logging; `serves` says whether there will be an export.
pub(crate) fn logging(
    options: &LogOptions,
    loaded: &mut Loaded,
    serves: bool,
) -> Result<Logging, LogError> {
    let clock = Arc::new(SystemClock::default());
    #[cfg(feature = "otlp")]
    if serves && loaded.settings.otlp.endpoint.is_some() && loaded.settings.otlp.logs {
        let copies = nebula_telemetry::LogCopies::new(clock.clone());
        let logging = nebula_telemetry::init_logging_with(options, clock, &copies)?;
        loaded.copies = Copies(Some(copies));
        return Ok(logging);
    }
    let _ = (serves, loaded);
    nebula_telemetry::init_logging(options, clock)
}

/// An export that is under way; none where no receiver is named.
#[cfg(feature = "otlp")]
#[derive(Debug)]
pub(crate) struct Exports {
    stop: tokio_util::sync::CancellationToken,
    task: tokio::task::JoinSet<()>,
}

#[cfg(feature = "otlp")]
impl Exports {
    pub(crate) async fn begin(loaded: &Loaded, composed: &Composed) -> Result<Self, Failure> {
        use nebula_core::TenantId;
        use nebula_telemetry::{Otlp, OtlpParts};

        let config = loaded.settings.otlp.clone();
        let stop = tokio_util::sync::CancellationToken::new();
        if config.endpoint.is_none() {
            let task = tokio::task::JoinSet::new();
            return Ok(Self { stop, task });
        }
        let wrong = |error: String| Failure::invalid("SETTINGS", error);
        let mut authorization = None;
        if let Some(id) = &config.authorization {
            let secrets = &composed.identity.secrets;
            authorization = secrets.get(&TenantId::local(), id).await?;
            if authorization.is_none() {
                let message = format!("otlp.authorization: there is no secret `{id}`");
                let advice = format!("set it: nebula secrets set {id}");
                return Err(wrong(message).advice(advice));
            }
        }
        let otlp = Otlp::new(
            config,
            OtlpParts {
                client: crate::compose::exporting(loaded)?,
                executions: composed.executions.clone(),
                bus: composed.nebula.bus().clone(),
                metrics: Arc::new(composed.nebula.clone()),
                logs: loaded.copies.0.clone(),
                clock: composed.clock.clone(),
                authorization,
                version: env!("CARGO_PKG_VERSION").to_owned(),
                instance: nebula_core::Entropy::uuid(&nebula_system::SystemEntropy).to_string(),
            },
        );
        let otlp = otlp.map_err(|error| wrong(error.to_string()))?;
        let mut task = tokio::task::JoinSet::new();
        if let Some(otlp) = otlp {
            let token = stop.clone();
            task.spawn(async move { otlp.run(token.cancelled_owned()).await });
        }
        Ok(Self { stop, task })
    }

    /// Sends what is left, within the time of one request.
    pub(crate) async fn end(mut self) {
        self.stop.cancel();
        // A panic of it has said so.
        while self.task.join_next().await.is_some() {}
    }
}

/// No export: this program was made without.
#[cfg(not(feature = "otlp"))]
#[derive(Debug)]
pub(crate) struct Exports;

#[cfg(not(feature = "otlp"))]
impl Exports {
    #[expect(clippy::unused_async, reason = "as the one that exports")]
    pub(crate) async fn begin(_: &Loaded, _: &Composed) -> Result<Self, Failure> {
        Ok(Self)
    }

    #[expect(clippy::unused_async, reason = "as the one that exports")]
    pub(crate) async fn end(self) {}
}
