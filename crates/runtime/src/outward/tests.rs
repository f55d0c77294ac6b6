//! Requests through the gates, under a clock that stands still and a client that answers as told.

use std::{future::Future, path::Path, pin::pin};

use futures_util::FutureExt;
use http::{HeaderName, HeaderValue};
use nebula_action::{Grants, Http, HttpBody};
use nebula_resilience::{BreakerPolicy, BreakerState};
use nebula_testkit::{ManualClock, run};
use parking_lot::Mutex;

use super::*;

/// How one request is answered.
#[derive(Debug, Clone)]
enum Reply {
    /// Status, a header line or nothing, parts of the body.
    Head(u16, &'static str, &'static [&'static str]),
    /// The same with a body that breaks behind its parts.
    Cut(u16, &'static [&'static str]),
    /// A head whose body breaks with an error of another origin.
    CutElsewhere(u16),
    /// An answer of another origin, to which it was led.
    Led(u16, &'static str),
    /// One of another origin that is busy.
    LedBusy(&'static str),
    /// No answer from another origin, to which it was led.
    FailsElsewhere,
    /// No answer; whether it was sent.
    Fails(bool),
    /// Nothing, for so many milliseconds, and then that.
    Late(u64, &'static Reply),
    Never,
}

#[derive(Debug)]
struct Scripted {
    clock: ManualClock,
    reply: Mutex<Reply>,
    /// Those that count before `reply` does.
    before: Mutex<Vec<Reply>>,
    /// When each request came, its URL and the time that it was given.
    seen: Mutex<Vec<(u64, String, Duration)>>,
}

#[derive(Debug)]
struct Parts {
    parts: Vec<&'static str>,
    origin: String,
    cut: bool,
}

#[async_trait]
impl HttpBody for Parts {
    async fn chunk(&mut self) -> Result<Option<Bytes>, HttpError> {
        if !self.parts.is_empty() {
            return Ok(Some(self.parts.remove(0).into()));
        }
        match self.cut {
            false => Ok(None),
            true => Err(broken(&self.origin)),
        }
    }
}

fn broken(origin: &str) -> HttpError {
    HttpError {
        kind: HttpErrorKind::Protocol("cut".to_owned()),
        origin: origin.to_owned(),
        sent: true,
    }
}

#[async_trait]
impl HttpClient for Scripted {
    async fn send(&self, _: &Egress, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let at = u64::try_from(self.clock.monotonic().as_millis()).unwrap();
        let seen = (at, request.url.to_string(), request.limits.total);
        self.seen.lock().push(seen);
        let mut reply = {
            let mut before = self.before.lock();
            match before.is_empty() {
                true => self.reply.lock().clone(),
                false => before.remove(0),
            }
        };
        if let Reply::Late(millis, then) = reply {
            self.clock.sleep(ms(millis)).await;
            reply = then.clone();
        }
        let (status, line, parts, cut, url) = match reply {
            Reply::Head(status, line, parts) => (status, line, parts, false, request.url),
            Reply::Cut(status, parts) => (status, "", parts, true, request.url),
            Reply::CutElsewhere(status) => {
                let parts = Parts {
                    parts: Vec::new(),
                    origin: "https://other.example".to_owned(),
                    cut: true,
                };
                return Ok(HttpResponse {
                    status: StatusCode::from_u16(status).unwrap(),
                    headers: HeaderMap::new(),
                    url: request.url,
                    redirects: 0,
                    body: Box::new(parts),
                });
            }
            Reply::Led(status, url) => (status, "", &[][..], false, Url::parse(url).unwrap()),
            Reply::LedBusy(url) => (
                429,
                "retry-after: 60",
                &[][..],
                false,
                Url::parse(url).unwrap(),
            ),
            Reply::FailsElsewhere => {
                return Err(HttpError {
                    kind: HttpErrorKind::Connect("refused".to_owned()),
                    origin: "https://other.example".to_owned(),
                    sent: true,
                });
            }
            Reply::Fails(sent) => {
                return Err(HttpError {
                    kind: HttpErrorKind::Connect("refused".to_owned()),
                    origin: origin_of(&request.url),
                    sent,
                });
            }
            Reply::Never | Reply::Late(..) => std::future::pending().await,
        };
        let mut headers = HeaderMap::new();
        if let Some((name, value)) = line.split_once(": ") {
            headers.insert(
                HeaderName::try_from(name).unwrap(),
                HeaderValue::from_static(value),
            );
        }
        let parts = Parts {
            parts: parts.to_vec(),
            origin: origin_of(&url),
            cut,
        };
        Ok(HttpResponse {
            status: StatusCode::from_u16(status).unwrap(),
            headers,
            url,
            redirects: 0,
            body: Box::new(parts),
        })
    }
}

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

const OK: Reply = Reply::Head(200, "", &["o", "k"]);

struct World {
    clock: ManualClock,
    script: Arc<Scripted>,
    paced: PacedHttp,
    egress: Egress,
}

/// A world in which every host may be asked, with these settings.
fn world(reply: Reply, policy: HttpPolicy) -> World {
    let clock = ManualClock::default();
    let script = Arc::new(Scripted {
        clock: clock.clone(),
        reply: Mutex::new(reply),
        before: Mutex::new(Vec::new()),
        seen: Mutex::new(Vec::new()),
    });
    let paced = PacedHttp::new(script.clone(), Arc::new(clock.clone()), policy).unwrap();
    let everywhere = Capability::parse("net:*.example", Path::new("/")).unwrap();
    World {
        clock,
        script,
        paced,
        egress: Egress::new(&Grants::new([everywhere])),
    }
}

fn request(url: &str) -> HttpRequest {
    HttpRequest {
        method: Method::GET,
        url: Url::parse(url).unwrap(),
        headers: HeaderMap::new(),
        body: RequestBody::Empty,
        limits: HttpLimits::default(),
        sender: Sender {
            tenant: Some(TenantId::local()),
            credential: None,
        },
    }
}

fn with(url: &str, credential: &str) -> HttpRequest {
    let mut request = request(url);
    request.sender.credential = Some(CredentialId::new(credential).unwrap());
    request
}

/// A gate that opens its breaker at the second bad answer, and waits for nothing.
fn strict() -> HttpPolicy {
    HttpPolicy {
        wait: Duration::ZERO,
        connect_attempts: 1,
        breaker: BreakerPolicy {
            window: 2,
            min_calls: 2,
            ..HttpPolicy::default().breaker
        },
        ..HttpPolicy::default()
    }
}

impl World {
    /// Sends, reads to the end, and moves the clock until that is over: the status or the reason.
    async fn ask(&self, request: HttpRequest) -> String {
        let asked = async {
            match self.paced.send(&self.egress, request).await {
                Ok(answer) => {
                    let status = answer.status.as_u16().to_string();
                    match answer.bytes().await {
                        Ok(_) => status,
                        Err(_) => format!("{status} cut"),
                    }
                }
                Err(error) => match error.kind {
                    HttpErrorKind::Held(refused) => {
                        assert!(!error.sent);
                        assert!(refused.after > Duration::ZERO);
                        format!("{:?}", refused.reason)
                    }
                    kind => kind.to_string(),
                },
            }
        };
        self.through(asked).await
    }

    async fn through<T>(&self, call: impl Future<Output = T>) -> T {
        let mut call = pin!(call);
        loop {
            if let Some(ended) = call.as_mut().now_or_never() {
                return ended;
            }
            assert!(self.clock.advance_to_next(), "it waits for nothing");
        }
    }

    fn sent(&self) -> usize {
        self.script.seen.lock().len()
    }

    fn reply(&self, reply: Reply) {
        *self.script.reply.lock() = reply;
    }

    fn state(&self, host: &str) -> Snapshot {
        let lanes = self.paced.lanes().into_iter();
        let mut found = lanes.filter(|state| match &state.lane {
            Lane::Destination { host: it, .. } => it == host,
            _ => false,
        });
        found.next().unwrap().gate
    }
}

const A: &str = "https://a.example/";
const B: &str = "https://b.example/";

#[test]
fn a_destination_that_fails_is_left_alone_and_its_neighbours_are_not() {
    run(async {
        let world = world(Reply::Head(500, "", &[]), strict());
        for _ in 0..2 {
            assert_eq!(world.ask(request(A)).await, "500");
        }
        assert_eq!(world.ask(request(A)).await, "BreakerOpen");
        assert_eq!(world.sent(), 2);
        assert_eq!(
            world.state("a.example:443").breaker,
            Some(BreakerState::Open)
        );
        // Another host, another port, another credential, another tenant.
        assert_eq!(world.ask(request(B)).await, "500");
        assert_eq!(world.ask(request("http://a.example/")).await, "500");
        assert_eq!(world.ask(with(A, "one")).await, "500");
        let mut foreign = request(A);
        foreign.sender.tenant = Some(TenantId::new("other").unwrap());
        assert_eq!(world.ask(foreign).await, "500");
        // After the cool-down one asks; it goes well.
        world.reply(OK);
        world.clock.advance(BreakerPolicy::default().cool_down);
        for _ in 0..3 {
            assert_eq!(world.ask(request(A)).await, "200");
        }
    });
}

#[test]
fn what_is_the_servers_fault_counts_and_what_is_not_does_not() {
    run(async {
        let check = async |reply: Reply, opens: bool| {
            let world = world(reply.clone(), strict());
            for _ in 0..3 {
                world.ask(request(A)).await;
            }
            let open = world.state("a.example:443").breaker == Some(BreakerState::Open);
            assert_eq!(open, opens, "{reply:?}");
        };
        check(OK, false).await;
        check(Reply::Head(404, "", &[]), false).await;
        check(Reply::Head(429, "", &[]), false).await;
        check(Reply::Head(501, "", &[]), false).await;
        check(Reply::Head(503, "", &[]), true).await;
        check(Reply::Fails(true), true).await;
        check(Reply::Fails(false), true).await;
        // The head was fine, the body was not.
        check(Reply::Cut(200, &["o"]), true).await;
        check(Reply::Cut(500, &["o"]), true).await;
        // The fault is that of whoever it led to.
        check(Reply::Led(500, "https://b.example/"), false).await;
        check(Reply::Never, true).await;
    });
}

#[test]
fn an_answer_that_nobody_reads_says_what_its_head_said() {
    run(async {
        for (status, bad) in [(200, 0), (500, 1)] {
            let world = world(Reply::Head(status, "", &["x"]), strict());
            drop(world.paced.send(&world.egress, request(A)).await.unwrap());
            let state = world.state("a.example:443");
            assert_eq!((state.bad, state.under_way), (bad, 0));
        }
    });
}

/// Guard: what was not read to its end is no success; its end may be bad.
#[test]
fn a_good_answer_that_nobody_reads_says_nothing() {
    run(async {
        let mut policy = strict();
        policy.breaker.failure_percent = 100;
        let world = world(Reply::Head(500, "", &[]), policy);
        assert_eq!(world.ask(request(A)).await, "500");
        // It does not come between two failures.
        world.reply(OK);
        drop(world.paced.send(&world.egress, request(A)).await.unwrap());
        world.reply(Reply::Head(500, "", &[]));
        assert_eq!(world.ask(request(A)).await, "500");
        assert_eq!(world.ask(request(A)).await, "BreakerOpen");
        assert_eq!(world.state("a.example:443").under_way, 0);
    });
}

/// Guard: a bad head stays bad, whoever's fault the end of its body is.
#[test]
fn a_bad_head_is_bad_though_its_body_broke_elsewhere() {
    run(async {
        for (status, bad) in [(500, 1), (200, 0)] {
            let world = world(Reply::CutElsewhere(status), strict());
            assert_eq!(world.ask(request(A)).await, format!("{status} cut"));
            let state = world.state("a.example:443");
            assert_eq!((state.bad, state.under_way), (bad, 0), "{status}");
        }
    });
}

#[test]
fn a_client_that_keeps_no_limit_is_given_up() {
    run(async {
        let world = world(Reply::Never, strict());
        assert!(
            world
                .ask(request(A))
                .await
                .starts_with("everything together took longer")
        );
        assert_eq!(
            world.clock.monotonic(),
            HttpLimits::default().total + OVERTIME
        );
        assert_eq!(world.state("a.example:443").under_way, 0);
    });
}

#[test]
fn retry_after_pauses_the_destination_with_that_credential() {
    run(async {
        for status in [429, 503] {
            let world = world(Reply::Head(status, "retry-after: 30", &[]), strict());
            world.ask(with(A, "one")).await;
            assert_eq!(world.ask(with(A, "one")).await, "Paused");
            assert_eq!(world.sent(), 1);
            assert_eq!(world.state("a.example:443").paused_ms, 30_000);
            world.ask(with(A, "two")).await;
            assert_eq!(world.sent(), 2);
            world.clock.advance(ms(30_000));
            world.ask(with(A, "one")).await;
            assert_eq!(world.sent(), 3);
        }
        // 500 says nothing about when; a long pause is cut; another origin's is not its own.
        let check = async |reply: Reply, paused: u64| {
            let world = world(reply, strict());
            world.ask(request(A)).await;
            assert_eq!(world.state("a.example:443").paused_ms, paused);
        };
        check(Reply::Head(500, "retry-after: 30", &[]), 0).await;
        check(Reply::Head(429, "retry-after: 86400", &[]), 600_000).await;
        check(Reply::Head(429, "retry-after: soon", &[]), 0).await;
    });
}

#[test]
fn what_another_origin_does_is_not_held_against_the_one_that_led_there() {
    run(async {
        let world = world(Reply::LedBusy("https://other.example/"), strict());
        assert_eq!(world.ask(request(A)).await, "429");
        // No pause, and no failure.
        world.reply(Reply::FailsElsewhere);
        for _ in 0..4 {
            let said = world.ask(request(A)).await;
            assert!(said.starts_with("no connection"), "{said}");
        }
        world.reply(OK);
        assert_eq!(world.ask(request(A)).await, "200");
    });
}

#[test]
fn without_a_breaker_a_destination_that_fails_is_asked_on() {
    run(async {
        let policy = HttpPolicy {
            use_breaker: false,
            ..strict()
        };
        let world = world(Reply::Head(500, "", &[]), policy);
        for _ in 0..5 {
            assert_eq!(world.ask(request(A)).await, "500");
        }
    });
}

#[test]
fn all_gates_of_a_request_share_its_patience() {
    run(async {
        let one = serde_json::json!({ "a.example": { "rate": { "limit": 1, "per": "7s" } } });
        let policy = HttpPolicy {
            wait: ms(5_000),
            concurrency: 1,
            hosts: serde_json::from_value(one).unwrap(),
            ..strict()
        };
        let world = world(Reply::Late(3_000, &OK), policy);
        let sent = async || {
            let answer = world.paced.send(&world.egress, request(A)).await?;
            answer.bytes().await
        };
        // The second waits 3 s for its place, and would wait 4 s more for its token.
        let both = futures_util::future::join(sent(), sent());
        let (first, second) = world.through(both).await;
        assert!(first.is_ok());
        let kind = second.unwrap_err().kind;
        let held = matches!(&kind, HttpErrorKind::Held(it) if it.reason == Reason::Rate);
        assert!(held, "{kind:?}");
        assert_eq!(world.sent(), 1);
    });
}

#[test]
fn a_request_is_under_way_until_its_body_has_ended() {
    run(async {
        let policy = HttpPolicy {
            concurrency: 1,
            ..strict()
        };
        let world = world(OK, policy);
        let mut answer = world.paced.send(&world.egress, request(A)).await.unwrap();
        assert_eq!(world.ask(request(A)).await, "Busy");
        assert!(answer.body.chunk().await.unwrap().is_some());
        assert_eq!(world.ask(request(A)).await, "Busy");
        while answer.body.chunk().await.unwrap().is_some() {}
        assert_eq!(world.ask(request(A)).await, "200");
        drop(answer);
        assert_eq!(world.state("a.example:443").under_way, 0);
    });
}

/// Settings with one rate of one request a second, for `hosts` or `credentials`.
/// Guards: gates that are there change, also those of what is not limited any more; the breaker stays; what
/// cannot be used changes nothing.
#[test]
fn limits_change_while_requests_are_made() {
    run(async {
        let limits = |limit: u32| -> HttpPolicy {
            let one = serde_json::json!({
                "a.example": { "rate": { "limit": limit, "per": "1h", "burst": limit } }
            });
            HttpPolicy {
                hosts: serde_json::from_value(one).unwrap(),
                ..strict()
            }
        };
        let world = world(OK, limits(1));
        let ask = async || world.ask(request("https://a.example/")).await;
        assert_eq!((ask().await, ask().await), ("200".into(), "Rate".into()));
        world.paced.adjust(limits(2)).unwrap();
        assert_eq!((ask().await, ask().await), ("200".into(), "200".into()));
        assert_eq!(ask().await, "Rate");
        world.paced.adjust(limits(2)).unwrap();
        assert_eq!(ask().await, "Rate", "the same rate goes on");
        assert!(world.paced.adjust(limits(0)).is_err());
        assert_eq!(ask().await, "Rate", "what is wrong changes nothing");
        world
            .paced
            .adjust(HttpPolicy {
                use_breaker: false,
                ..strict()
            })
            .unwrap();
        assert_eq!((ask().await, ask().await), ("200".into(), "200".into()));
        world.reply(Reply::Head(500, "", &[]));
        assert_eq!(ask().await, "500");
        assert_eq!(ask().await, "BreakerOpen", "the breaker stays");
    });
}

fn limited(hosts: &[&str], credentials: &[&str]) -> HttpPolicy {
    let limits = |names: &[&str]| {
        let one = serde_json::json!({ "rate": { "limit": 1, "per": "1s" } });
        let each = names.iter().map(|name| {
            (
                (*name).to_owned(),
                serde_json::from_value(one.clone()).unwrap(),
            )
        });
        each.collect()
    };
    HttpPolicy {
        hosts: limits(hosts),
        credentials: limits(credentials),
        ..strict()
    }
}

#[test]
fn a_host_with_a_rate_is_asked_no_more_often() {
    run(async {
        let world = world(OK, limited(&["a.example", "*.example:8443"], &[]));
        assert_eq!(world.ask(request(A)).await, "200");
        // Whatever the credential and the port.
        assert_eq!(world.ask(with(A, "one")).await, "Rate");
        assert_eq!(world.ask(request("http://a.example/")).await, "Rate");
        assert_eq!(world.ask(request(B)).await, "200");
        assert_eq!(world.ask(request(B)).await, "200");
        // The longer entry counts, and what it covers shares its limit.
        assert_eq!(world.ask(request("https://a.example:8443/")).await, "200");
        assert_eq!(world.ask(request("https://b.example:8443/")).await, "Rate");
        // Each tenant for itself.
        let mut foreign = request(A);
        foreign.sender.tenant = Some(TenantId::new("other").unwrap());
        assert_eq!(world.ask(foreign).await, "200");
        world.clock.advance(ms(1_000));
        assert_eq!(world.ask(request(A)).await, "200");
    });
}

#[test]
fn of_several_entries_for_a_host_the_longest_counts() {
    run(async {
        let hosts = ["*.example", "a.example", "shop.example"];
        let world = world(OK, limited(&hosts, &[]));
        assert_eq!(world.ask(request(A)).await, "200");
        assert_eq!(world.ask(request("https://shop.example/")).await, "200");
        let lanes = world.paced.lanes().into_iter();
        let entries = lanes.filter_map(|state| match state.lane {
            Lane::Host { entry, .. } => Some(entry),
            _ => None,
        });
        let mut entries: Vec<_> = entries.collect();
        entries.sort();
        assert_eq!(entries, ["a.example", "shop.example"]);
    });
}

#[test]
fn a_credential_with_a_rate_is_sent_no_more_often_wherever_it_goes() {
    run(async {
        let world = world(OK, limited(&[], &["one"]));
        assert_eq!(world.ask(with(A, "one")).await, "200");
        assert_eq!(world.ask(with(B, "one")).await, "Rate");
        assert_eq!(world.ask(with(B, "two")).await, "200");
        assert_eq!(world.ask(request(A)).await, "200");
        let mut foreign = with(A, "one");
        foreign.sender.tenant = Some(TenantId::new("other").unwrap());
        assert_eq!(world.ask(foreign).await, "200");
    });
}

#[test]
fn a_turn_is_waited_for_within_patience_and_takes_time_from_the_request() {
    run(async {
        let policy = HttpPolicy {
            wait: ms(2_000),
            ..limited(&["a.example"], &[])
        };
        let world = world(OK, policy);
        for _ in 0..3 {
            assert_eq!(world.ask(request(A)).await, "200");
        }
        let total = HttpLimits::default().total;
        let seen = world.script.seen.lock().clone();
        let times: Vec<_> = seen.iter().map(|(at, _, given)| (*at, *given)).collect();
        assert_eq!(
            times,
            [
                (0, total),
                (1_000, total - ms(1_000)),
                (2_000, total - ms(1_000))
            ]
        );
        // At most half of the time is for waiting, and a request may say less by itself.
        let mut hasty = request(A);
        hasty.limits.total = ms(1_000);
        assert_eq!(world.ask(hasty).await, "Rate");
        let mut impatient = request(A);
        impatient.limits.turn = Some(ms(10));
        assert_eq!(world.ask(impatient).await, "Rate");
        let mut patient = request(A);
        patient.limits.turn = Some(ms(30_000));
        assert_eq!(world.ask(patient).await, "200");
    });
}

#[test]
fn what_may_not_leave_makes_no_gate() {
    run(async {
        let world = world(OK, strict());
        world.ask(request("https://a.test/")).await;
        assert!(world.paced.lanes().is_empty());
    });
}

#[test]
fn there_are_no_more_destinations_than_may_be() {
    run(async {
        let policy = HttpPolicy {
            max_destinations: 3,
            ..strict()
        };
        let world = world(OK, policy);
        let mut held = Vec::new();
        for host in ["a", "b", "c"] {
            let asked = request(&format!("https://{host}.example/"));
            held.push(world.paced.send(&world.egress, asked).await.unwrap());
        }
        assert_eq!(world.ask(request("https://d.example/")).await, "Crowded");
        held.pop();
        assert_eq!(world.ask(request("https://d.example/")).await, "200");
        assert_eq!(world.paced.lanes().len(), 3);
    });
}

#[test]
fn what_found_no_connection_and_was_not_sent_is_tried_again() {
    run(async {
        let check = async |sent: bool, body: RequestBody, expected: (usize, &str)| {
            let policy = HttpPolicy {
                connect_attempts: 2,
                ..strict()
            };
            let world = world(OK, policy);
            world.script.before.lock().push(Reply::Fails(sent));
            let post = HttpRequest {
                method: Method::POST,
                body,
                ..request(A)
            };
            let said = world.ask(post).await;
            assert_eq!((world.sent(), said.as_str()), expected);
        };
        let bytes = || RequestBody::Bytes(Bytes::from_static(b"x"));
        check(false, bytes(), (2, "200")).await;
        check(true, bytes(), (1, "no connection (refused)")).await;
        let stream = Parts {
            parts: vec!["x"],
            origin: String::new(),
            cut: false,
        };
        let stream = RequestBody::Stream(Box::new(stream));
        check(false, stream, (1, "no connection (refused)")).await;
        // No more often than the setting says.
        let world = world(
            Reply::Fails(false),
            HttpPolicy {
                connect_attempts: 3,
                ..HttpPolicy::default()
            },
        );
        world.ask(request(A)).await;
        assert_eq!(world.sent(), 3);
    });
}

#[test]
fn a_slow_read_is_asked_twice_and_a_slow_write_is_not() {
    run(async {
        let check = async |method: Method, expected: (usize, u64)| {
            let policy = HttpPolicy {
                hedge_after: Some(ms(200)),
                ..strict()
            };
            let world = world(OK, policy);
            world.script.before.lock().push(Reply::Late(5_000, &OK));
            let asked = HttpRequest {
                method,
                ..request(A)
            };
            assert_eq!(world.ask(asked).await, "200");
            let at = u64::try_from(world.clock.monotonic().as_millis()).unwrap();
            assert_eq!((world.sent(), at), expected);
            assert_eq!(world.state("a.example:443").under_way, 0);
        };
        check(Method::GET, (2, 200)).await;
        check(Method::HEAD, (2, 200)).await;
        check(Method::POST, (1, 5_000)).await;
        check(Method::OPTIONS, (1, 5_000)).await;
    });
}

/// Guard: the first request has its patience, though a second one may be asked beside it.
#[test]
fn a_first_request_waits_for_its_place_where_a_second_may_come() {
    run(async {
        let policy = HttpPolicy {
            hedge_after: Some(ms(200)),
            concurrency: 1,
            wait: ms(4_000),
            ..strict()
        };
        let world = world(OK, policy);
        let held = world.paced.send(&world.egress, request(A)).await.unwrap();
        let clock = world.clock.clone();
        let frees = async move {
            clock.sleep(ms(1_000)).await;
            drop(held);
            std::future::pending::<()>().await;
        };
        let asked = world.through(async {
            tokio::select! {
                biased;
                () = frees => unreachable!(),
                asked = world.paced.send(&world.egress, request(A)) => asked,
            }
        });
        assert_eq!(asked.await.unwrap().status, StatusCode::OK);
        assert_eq!(world.sent(), 2);
    });
}

#[test]
fn a_second_request_waits_for_no_place() {
    run(async {
        let policy = HttpPolicy {
            hedge_after: Some(ms(200)),
            concurrency: 1,
            wait: ms(4_000),
            ..strict()
        };
        let world = world(OK, policy);
        world.script.before.lock().push(Reply::Late(1_000, &OK));
        assert_eq!(world.ask(request(A)).await, "200");
        assert_eq!(world.sent(), 1);
    });
}

#[test]
fn an_attempt_cannot_claim_another_tenant() {
    run(async {
        let world = world(OK, strict());
        let paced = Arc::new(world.paced);
        let client: Arc<dyn HttpClient> = paced.clone();
        let granted = Capability::parse("net:a.example", Path::new("/")).unwrap();
        let http = Http::gated(&client, &Grants::new([granted])).unwrap();
        let mine = TenantId::new("mine").unwrap();
        drop(http.of(mine.clone()).send(request(A), None).await.unwrap());
        let lanes = paced.lanes();
        let [
            LaneState {
                lane: Lane::Destination { tenant, .. },
                ..
            },
        ] = &lanes[..]
        else {
            panic!("{lanes:?}");
        };
        assert_eq!(tenant.as_ref(), Some(&mine));
    });
}
