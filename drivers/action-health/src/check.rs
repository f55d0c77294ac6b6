//! `health.check`.

use std::{path::PathBuf, sync::Arc, time::Duration};

use nebula_action::{ActionContext, ActionError, Egress, ErrorClass};
use nebula_core::{ByteSize, Clock, duration_text};
use nebula_derive::Action;
use nebula_ports::ProgramRunner;
use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    http_check,
    parameters::CheckIn,
    program_check, sql_check,
    verdict::{Found, Verdict, of_http},
};

/// How long a service has to answer where `timeout` says nothing.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// The most that `timeout` may ask for.
pub const MAX_TIMEOUT: Duration = Duration::from_mins(5);

/// The largest answer that is looked through for `contains` and `query`.
pub const MAX_BODY: ByteSize = ByteSize::mib(1);

/// Asks how a service is: `{ healthy, latency_ms, reason }`.
///
/// Over HTTP (`url`): by the status of the answer to a GET, by a text in it (`contains`), and by a
/// condition over it (`query`), for services that tell of themselves in JSON. By a connection (`tcp`):
/// whether somebody accepts it. By a program (`program`): whether it ends with an exit code that is
/// expected; the operator lists the programs that may run. By a database (`sql`): whether PostgreSQL answers a
/// statement, and by a condition over its rows (`query`). Each may be too slow (`max_latency`).
///
/// A service that is not well is a result, not an error: the workflow goes on, and `reason` says what was
/// found. An error says that nobody could ask: a capability is missing, a parameter is wrong. A host that
/// the engine leaves alone for a while is asked when its turn comes.
#[derive(Debug, Action)]
#[action(
    id = "health.check",
    version = "1.0",
    title = "Check health",
    effect = "read",
    deferred = ["query"],
    urls = ["url"],
    addresses = ["tcp"],
    programs = ["program"],
    credentials(optional(
        auth = [
            "api_key",
            "basic",
            "bearer",
            "header",
            "oauth2_client_credentials",
            "oauth2_refresh",
            "oauth2_code",
            "database_url"
        ]
    )),
    timeout = "6m"
)]
pub struct HealthCheck {
    clock: Arc<dyn Clock>,
    programs: Arc<dyn ProgramRunner>,
    certificates: Vec<PathBuf>,
}

/// The result of `health.check`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct CheckOut {
    /// Whether the service is well.
    healthy: bool,
    /// How long it took to find out, in milliseconds.
    latency_ms: u64,
    /// Why it is not well; null where it is.
    reason: Option<String>,
}

impl HealthCheck {
    /// Takes times from `clock`, and runs programs by `programs`.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, programs: Arc<dyn ProgramRunner>) -> Self {
        Self {
            clock,
            programs,
            certificates: Vec::new(),
        }
    }

    /// Trusts databases by these certificates, too: files in PEM. Without them by those of the system.
    #[must_use]
    pub fn trusting(mut self, certificates: Vec<PathBuf>) -> Self {
        self.certificates = certificates;
        self
    }

    async fn run(&self, ctx: &ActionContext, input: CheckIn) -> Result<CheckOut, ActionError> {
        check(&input)?;
        let timeout = input.timeout.map_or(DEFAULT_TIMEOUT, |span| span.0);
        if timeout.is_zero() || timeout > MAX_TIMEOUT {
            let most = duration_text(MAX_TIMEOUT);
            let message = format!("`timeout` is more than nothing and at most {most}");
            return Err(wrong("/timeout", message));
        }
        let began = self.clock.monotonic();
        let verdict = tokio::select! {
            biased;
            found = self.look(ctx, &input, timeout) => found?,
            () = ctx.cancellation.cancelled() => {
                let message = "the check was called off";
                return Err(ActionError::new("CANCELLED", message, ErrorClass::Cancelled));
            }
        };
        let latency = self.clock.monotonic().saturating_sub(began);
        let verdict = match (verdict, input.max_latency) {
            (Verdict::Well, Some(most)) if latency > most.0 => {
                let (took, most) = (duration_text(latency), duration_text(most.0));
                Verdict::Unwell(format!("it took {took}, longer than {most}"))
            }
            (verdict, _) => verdict,
        };
        let reason = match verdict {
            Verdict::Well => None,
            Verdict::Unwell(why) => Some(why),
        };
        Ok(CheckOut {
            healthy: reason.is_none(),
            latency_ms: u64::try_from(latency.as_millis()).unwrap_or(u64::MAX),
            reason,
        })
    }

    async fn look(&self, ctx: &ActionContext, input: &CheckIn, timeout: Duration) -> Found {
        if input.query.is_some() {
            // A value that is no expression was read as one that stands in the parameters.
            let message = "`query` must be one condition over `$item`, such as `$item.body.ready`";
            return Err(wrong("/query", message.to_owned()));
        }
        match (&input.url, &input.tcp, &input.program, &input.sql) {
            (Some(url), ..) => http_check::look(ctx, input, url, timeout).await,
            (_, Some(address), ..) => connect(ctx, address, timeout).await,
            (_, _, Some(program), _) => {
                program_check::look(&*self.programs, ctx, (input, program), timeout).await
            }
            (.., Some(sql)) => {
                let how = (sql.as_str(), &self.certificates[..]);
                sql_check::look(ctx, how, (&*self.clock, timeout)).await
            }
            _ => Err(wrong("", ONE.to_owned())),
        }
    }
}

/// What is said where it is not clear what to look at.
const ONE: &str = "exactly one of `url`, `tcp`, `program` and `sql` says what is looked at";

/// Refuses what would be ignored.
fn check(input: &CheckIn) -> Result<(), ActionError> {
    let kinds = [
        input.url.is_some(),
        input.tcp.is_some(),
        input.program.is_some(),
        input.sql.is_some(),
    ];
    if kinds.into_iter().filter(|given| *given).count() != 1 {
        return Err(wrong("", ONE.to_owned()));
    }
    let belongs = [
        ("expected_status", !input.expected_status.is_empty(), "url"),
        ("contains", input.contains.is_some(), "url"),
        ("query", input.query.is_some(), "url` or `sql"),
        ("args", !input.args.is_empty(), "program"),
        ("expected_exit", !input.expected_exit.is_empty(), "program"),
    ];
    for (name, given, with) in belongs {
        let there = match with {
            "url" => input.url.is_some(),
            "url` or `sql" => input.url.is_some() || input.sql.is_some(),
            _ => input.program.is_some(),
        };
        if given && !there {
            return Err(wrong(
                &format!("/{name}"),
                format!("`{name}` goes with `{with}`"),
            ));
        }
    }
    Ok(())
}

pub(crate) fn wrong(pointer: &str, message: String) -> ActionError {
    ActionError::invalid_input("HEALTH_PARAMETER", pointer, message)
}

/// Whether somebody accepts a connection.
async fn connect(ctx: &ActionContext, address: &str, timeout: Duration) -> Found {
    let url = Egress::address(address)
        .map_err(|error| ActionError::invalid_input("HEALTH_ADDRESS", "/tcp", error.to_string()))?;
    match ctx.http(&url)?.connect(&url, timeout).await {
        Ok(()) => Ok(Verdict::Well),
        Err(error) => of_http(&error, address, "/tcp"),
    }
}
