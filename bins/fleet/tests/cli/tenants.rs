//! Tenants of one fleet: what one of them uses up, the others still have, and nobody sees what is another's.

use std::{
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use nebula_testkit::servers::{Postgres, Redis};
use serde_json::{Value, json};

use crate::support::{Asks, BOUND, Machine};

/// How many executions of the noisy tenant may not have ended.
const QUOTA: usize = 3;

const WAITS: &str =
    "id: waits\nnodes: [{ id: paid, action: flow.wait, parameters: { signal: paid } }]\n";
const QUICK: &str =
    "id: quick\nnodes: [{ id: a, action: data.set, parameters: { n: \"{{ $input.n }}\" } }]\n";

/// Adds a tenant, and lets its first person in.
fn found(operator: &Asks, tenant: &str, quotas: &Value) -> Asks {
    let path = format!("/api/v1/tenants/{tenant}");
    let settled = json!({ "name": tenant, "version": 1, "quotas": quotas }).to_string();
    let json = "content-type: application/json\r\n";
    let (status, said) = operator.ask("PUT", &path, json, &settled);
    assert_eq!(status, 200, "{said}");
    let (status, made) = operator.post(&format!("{path}/setup"), &Value::Null);
    assert_eq!(status, 200, "{made}");
    let first = json!({ "token": made["token"], "login": "ann", "password": "correct horse" });
    let (status, let_in) = operator.post("/api/v1/setup", &first);
    assert_eq!(status, 201, "{let_in}");
    Asks {
        token: let_in["access"].as_str().unwrap().to_owned(),
        ..operator.clone()
    }
}

/// What somebody who watches everything that is theirs is shown, as it comes.
fn watch(person: &Asks) -> mpsc::Receiver<Value> {
    let (tell, told) = mpsc::channel();
    let events = person.events("/api/v1/events");
    thread::spawn(move || events.map_while(|event| tell.send(event).ok()).count());
    told
}

/// Starts an execution of `quick` and waits for its end; gives its id.
fn runs(person: &Asks) -> String {
    let wanted = json!({ "workflow": "quick", "input": { "n": 7 } });
    let (status, done) = person.post("/api/v1/executions?wait=30s", &wanted);
    assert_eq!((status, &done["output"]["n"]), (200, &json!(7)), "{done}");
    done["execution"].as_str().unwrap().to_owned()
}

/// The executions that somebody is shown.
fn listed(person: &Asks) -> Vec<String> {
    let page = person.get("/api/v1/executions?limit=100");
    let ids = page["executions"].as_array().unwrap().iter();
    let mut ids: Vec<_> = ids
        .map(|it| it["execution"].as_str().unwrap().to_owned())
        .collect();
    ids.sort();
    ids
}

#[test]
fn a_tenant_that_has_used_up_its_quota_is_refused_and_another_is_untouched() {
    let Some(redis) = Redis::start(&["--maxmemory-policy", "noeviction"]) else {
        return;
    };
    let Some(server) = Postgres::start(&[]) else {
        return;
    };
    let database = server.database();
    let machine = Machine::new();
    let settings = format!(
        "storage.address = \"{}\"\nqueue.address = \"{}\"\n",
        database.address(),
        redis.address()
    );
    machine.setting("nebula-control-plane.toml", &settings);
    machine.setting("nebula-worker.toml", &settings);
    let (plane, second) = (machine.control_plane(), machine.control_plane());
    let _workers = [machine.worker(&[]), machine.worker(&[])];
    let noisy = found(&plane, "noisy", &json!({ "executions": QUOTA }));
    let quiet = found(&plane, "quiet", &json!({}));
    noisy.publish("waits", WAITS);
    quiet.publish("quick", QUICK);
    let (seen_by_noisy, seen_by_quiet) = (watch(&noisy), watch(&quiet));

    // Many at once, at both control planes.
    let elsewhere = Asks {
        address: second.address.clone(),
        ..noisy.clone()
    };
    let starting = [&noisy, &noisy, &elsewhere, &elsewhere].map(|person| {
        let person = person.clone();
        thread::spawn(move || {
            let wanted = json!({ "workflow": "waits" });
            (0..6)
                .map(|_| person.post("/api/v1/executions", &wanted))
                .collect::<Vec<_>>()
        })
    });
    let answers: Vec<_> = starting
        .into_iter()
        .flat_map(|it| it.join().unwrap())
        .collect();
    let (begun, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|it| it.0 == 201);
    assert_eq!(begun.len(), QUOTA, "{answers:?}");
    for (status, problem) in refused {
        assert_eq!(*status, 429, "{problem}");
        assert_eq!(problem["code"], "QUOTA_EXECUTIONS", "{problem}");
    }
    let mut theirs: Vec<_> = begun
        .iter()
        .map(|it| it.1["execution"].as_str().unwrap().to_owned())
        .collect();
    theirs.sort();

    // The other one goes on, and until workers know that somebody watches, that is only in its journals.
    let mut mine: Vec<_> = (0..10).map(|_| runs(&quiet)).collect();
    let mut shown = Vec::new();
    let end = Instant::now() + BOUND;
    while !shown.iter().any(|it: &Value| it["type"] == "ended") {
        assert!(Instant::now() < end, "nothing is shown: {shown:?}");
        mine.push(runs(&quiet));
        while let Ok(event) = seen_by_quiet.recv_timeout(Duration::from_secs(1)) {
            shown.push(event);
        }
    }
    mine.sort();

    // Whatever each is shown is its own.
    assert_eq!(listed(&noisy), theirs);
    assert_eq!(listed(&quiet), mine);
    let (_, operators) = plane.ask("GET", "/api/v1/executions", "", "");
    assert_eq!(operators["executions"], json!([]), "{operators}");
    for (person, others) in [(&noisy, &mine), (&quiet, &theirs)] {
        for path in ["", "/journal", "/events"] {
            let path = format!("/api/v1/executions/{}{path}", others[0]);
            let (status, said) = person.ask("GET", &path, "", "");
            assert_eq!(status, 404, "{path}: {said}");
        }
    }
    let is_of = |event: &Value, all: &[String]| {
        let execution = event["execution"].as_str();
        execution.is_none_or(|it| all.iter().any(|id| id == it))
    };
    for event in shown {
        assert!(is_of(&event, &mine), "{event}");
    }
    for event in seen_by_noisy.try_iter() {
        assert!(is_of(&event, &theirs), "{event}");
    }

    // What ends makes room, at either control plane.
    let path = format!("/api/v1/executions/{}/cancel", theirs[0]);
    let (status, said) = noisy.post(&path, &json!({}));
    assert!(status < 300, "{status}: {said}");
    noisy.become_one_of(&theirs[..1], &["cancelled"]);
    elsewhere.start("waits", &Value::Null);
}
