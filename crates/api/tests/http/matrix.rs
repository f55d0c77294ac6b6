//! Who may do what with whose things: every route, every kind of caller, however the path is spelled.
//!
//! What each cell must be is derived here from the table of roles alone; what it was is `matrix.txt`, for
//! people to read: for each kind of caller what came of a thing of the project `shop`, of another project
//! and of another tenant, or once if it is the same for all. A route that has no probe fails the test, and
//! so does one whose check is missing.

mod actors;
mod expected;
mod probes;
mod spellings;
mod stage;

use std::{collections::BTreeSet, fmt::Write as _};

use http::Method;
use nebula_core::TenantId;
use nebula_ports::AuditOutcome;

use actors::{ACTORS, PLACES};
use expected::{expected, seen};
use probes::Wanted;
use spellings::{HEADERS, spellings};
use stage::Stage;

const HERE: &str = "127.0.0.1";
const PASSWORD: &str = "correct horse";

#[tokio::test]
async fn everybody_may_what_the_table_says_and_nothing_else() {
    let mut stage = Stage::new().await;
    let mut actors = Vec::new();
    for actor in ACTORS {
        actors.push(stage.actor(actor).await);
    }
    let routes = stage.world.api.routes().to_vec();
    let (mut table, mut wrong) = (String::new(), Vec::new());
    let (mut cells, mut spelled, mut recorded) = (0, 0, BTreeSet::new());
    let _ = write!(
        table,
        "{:<6} {:<50} {:<21} {:<8}",
        "", "", "needs", "recorded"
    );
    for actor in &actors {
        let _ = write!(table, " {:<21}", actor.name);
    }
    for route in &routes {
        table.truncate(table.trim_end().len());
        let changes = if route.changes { "yes" } else { "-" };
        let needs = route.needs.to_string();
        let _ = write!(
            table,
            "\n{:<6} {:<50} {needs:<21} {changes:<8}",
            route.method.as_str(),
            route.path
        );
        for actor in &mut actors {
            let mut told: Vec<&str> = Vec::new();
            for place in PLACES {
                let probe = stage.probe(route, place).await;
                let (method, sent) = (&route.method, (probe.kind, &*probe.body));
                let expected = expected(actor, route, &probe, place);
                let mut before = stage.recorded(&actor.tenant).await;
                if expected != "ok" && expected != "open" {
                    // However it is asked, it is not opened.
                    let plain: &[(&str, &str)] = &[];
                    let others = spellings(&probe.path);
                    let mut asked: Vec<_> = others.iter().map(|it| (it, plain)).collect();
                    asked.extend(HEADERS.iter().map(|it| (&probe.path, *it)));
                    for (path, more) in asked {
                        let status = stage.ask(actor, method, path, sent, more).await;
                        spelled += 1;
                        if status.is_success() || status.is_server_error() {
                            wrong.push(format!("{} {method} {path}: {status}", actor.name));
                        }
                    }
                    let other = ("text/plain", &*probe.body);
                    let status = stage.ask(actor, method, &probe.path, other, &[]).await;
                    if status.is_success() || status.is_server_error() {
                        wrong.push(format!(
                            "{} {method} {} as text: {status}",
                            actor.name, probe.path
                        ));
                    }
                    let head = stage
                        .ask(actor, &Method::HEAD, &probe.path, ("", ""), &[])
                        .await;
                    if head.is_success() && *method == Method::GET {
                        wrong.push(format!("{} HEAD {}: {head}", actor.name, probe.path));
                    }
                    // They may; what it concerns is not there.
                    let may = expected == "404" && matches!(probe.wanted, Wanted::Tenant(_));
                    let new = stage.since(&actor.tenant, before).await;
                    let done = new.iter().filter(|it| {
                        it.new.outcome == AuditOutcome::Allowed && it.new.what == route.what
                    });
                    // What cannot be said of who asks is not said to be done.
                    if route.changes && done.count() > 0 && !may {
                        wrong.push(format!(
                            "{} {method} {}: recorded as done",
                            actor.name, probe.path
                        ));
                    }
                    before += new.len() as u64;
                }
                let status = stage.ask(actor, method, &probe.path, sent, &[]).await;
                let found = match (&probe.wanted, expected) {
                    (Wanted::Always(wanted), "open") if status == *wanted => "open",
                    (Wanted::Always(_), "open") => "wrong",
                    _ => seen(status),
                };
                cells += 1;
                if found != expected {
                    let (name, path) = (actor.name, &probe.path);
                    wrong.push(format!(
                        "{name} {method} {path} ({place:?}): {status}, not {expected}"
                    ));
                }
                if route.changes && status.is_success() {
                    let tenant = match expected {
                        "open" => TenantId::local(),
                        _ => actor.tenant.clone(),
                    };
                    let from = if tenant == actor.tenant { before } else { 0 };
                    let is_told = stage.since(&tenant, from).await.iter().any(|it| {
                        it.new.what == route.what && it.new.outcome == AuditOutcome::Allowed
                    });
                    if is_told {
                        recorded.insert(format!("{method} {}", route.path));
                    } else {
                        wrong.push(format!("{method} {}: not recorded", route.path));
                    }
                }
                if route.path == "/api/v1/logout" && !actor.login.is_empty() && actor.only.is_none()
                {
                    actor.bearer = Some(stage.let_in(&actor.tenant, actor.login).await);
                }
                told.push(found);
            }
            if told.iter().all(|it| *it == told[0]) {
                told.truncate(1);
            }
            let _ = write!(table, " {:<21}", told.join(" "));
        }
    }
    table.truncate(table.trim_end().len());
    table.push('\n');
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert_eq!(cells, routes.len() * ACTORS.len() * PLACES.len());
    assert!(spelled > 10 * cells, "{spelled}");
    // What nothing in this world can be done to has tests of its own.
    let elsewhere = [
        "POST /api/v1/setup",
        "POST /api/v1/executions/{execution}/unpark",
        "POST /api/v1/executions/{execution}/retry",
        "POST /api/v1/executions/{execution}/restart",
        "POST /api/v1/executions/{execution}/migrate",
        "POST /api/v1/users/{user}/keys",
        "POST /api/v1/credentials/{credential}/test",
        "POST /api/v1/credentials/{credential}/authorize",
        "GET /api/v1/credentials/{credential}/callback",
        "PUT /api/v1/projects/{project}",
        "DELETE /api/v1/projects/{project}",
        "POST /resume/{token}",
        "GET /api/v1/oidc/callback",
        "POST /api/v1/invitations/accept",
    ];
    for route in routes.iter().filter(|it| it.changes) {
        let name = format!("{} {}", route.method, route.path);
        assert!(
            recorded.contains(&name) || elsewhere.contains(&&*name),
            "{name} was never done"
        );
    }
    let written = include_str!("matrix.txt");
    assert_eq!(
        table, written,
        "matrix.txt says otherwise; this is the table:\n{table}"
    );
    stage.world.stopped().await;
}
