//! `nebula doctor --server`: how a server stands now.

use std::time::Duration;

use http::{Method, StatusCode};
use nebula::runtime::{Lane, LaneState};
use nebula_api::ServerState;
use nebula_resilience::BreakerState;

use nebula_program::checks::{Check, Verdict};

use super::doctor::duties_check;
use crate::{
    compose,
    failure::Failure,
    server::{Ask, Server, ServerUrl},
    settings::Loaded,
};

/// What is found out about a server, and what it says of itself if it says something.
pub(crate) async fn checks(loaded: &Loaded, url: &ServerUrl) -> (Vec<Check>, Option<ServerState>) {
    const CHECK: &str = "server";
    let server = match compose::server(loaded, url) {
        Ok(server) => server,
        Err(failure) => return (vec![Check::failed(CHECK, failure)], None),
    };
    let state = match state(&server).await {
        Ok(state) => state,
        Err(failure) => return (vec![Check::failed(CHECK, failure)], None),
    };
    let shown = url.text();
    let mut checks = vec![Check::ok(CHECK, format!("{shown} answers"))];
    if state.lanes.is_empty() {
        checks.push(Check::ok(
            "http",
            "it has sent no request yet that it remembers",
        ));
    }
    checks.extend(state.lanes.iter().map(lane_check));
    checks.push(duties_check(state.duties.iter().cloned()));
    (checks, Some(state))
}

async fn state(server: &Server) -> Result<ServerState, Failure> {
    let answer = server.send(Ask::new(Method::GET).at(["state"])).await?;
    if answer.status() == StatusCode::NOT_FOUND {
        let message = "this server is older than this program and does not say how it stands";
        return Err(Failure::environment("SERVER_OLDER", message)
            .advice("install the same version of nebula there"));
    }
    answer.good()?.json()
}

/// How requests of one kind stand: what a person can do something about is a warning.
fn lane_check(state: &LaneState) -> Check {
    let gate = &state.gate;
    let (name, mut said) = (name(&state.lane), Vec::new());
    let seconds = |millis| format!("{:.1} s", Duration::from_millis(millis).as_secs_f64());
    let mut warned = true;
    match gate.breaker {
        Some(BreakerState::Open) => said.push(format!(
            "its breaker is open for another {}",
            seconds(gate.open_ms)
        )),
        Some(BreakerState::HalfOpen) => {
            said.push("its breaker lets one request try".to_owned());
        }
        Some(BreakerState::Closed) => {
            warned = false;
            said.push("its breaker is closed".to_owned());
        }
        None => warned = false,
    }
    if gate.paused_ms > 0 {
        warned = true;
        said.push(format!(
            "it asked for a pause of another {}",
            seconds(gate.paused_ms)
        ));
    }
    said.push(match gate.concurrency {
        Some(most) => format!("{} of {most} requests are under way", gate.under_way),
        None => format!("{} requests are under way", gate.under_way),
    });
    if gate.waiting > 0 {
        warned = true;
        said.push(format!("{} wait", gate.waiting));
    }
    if let Some(rate) = &gate.rate {
        let per = seconds(rate.per_ms);
        said.push(format!(
            "{} of {} could pass at once, {} in {per}",
            rate.left, rate.burst, rate.limit
        ));
    }
    said.push(format!(
        "{} passed, {} were refused, {} ended badly",
        gate.passed, gate.refused, gate.bad
    ));
    let detail = format!("{name}: {}", said.join(", "));
    match warned {
        false => Check::ok("http", detail),
        true => Check::new("http", Verdict::Warning, detail).advice(
            "look at what is there, and at the limits under `http` in the server's settings",
        ),
    }
}

fn name(lane: &Lane) -> String {
    match lane {
        Lane::Destination {
            host, credential, ..
        } => match credential {
            Some(id) => format!("{host} with {id}"),
            None => host.clone(),
        },
        Lane::Host { entry, .. } => format!("all of {entry}"),
        Lane::Credential { credential, .. } => format!("all with {credential}"),
    }
}
