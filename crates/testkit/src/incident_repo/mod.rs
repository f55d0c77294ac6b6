//! The rules of [`IncidentRepo`]: what every store of incidents must prove.
//!
//! A driver's test is `nebula_testkit::incident_repo!(|clock| async move { … })`, where the expression makes
//! an empty store, as `Arc<dyn IncidentRepo>`, that reads its time from the [`ManualClock`] it is given.
//!
//! # What the trait leaves open, settled here
//! - What an operation answers that was done before is the incident as it is now, and a counter as it stood
//!   then.

use std::{future::Future, sync::Arc, time::Duration};

use futures_util::future::join_all;
use nebula_core::{Clock, ExecutionId, TenantId, WorkflowId};
use nebula_ports::{
    CounterChange, ErrorKind, Happened, Incident, IncidentChange, IncidentChanged, IncidentFilter,
    IncidentOpened, IncidentRef, IncidentRepo, IncidentStatus, MAX_INCIDENT_COUNTERS,
    MAX_INCIDENT_NAME, MAX_INCIDENT_TEXT, MAX_INCIDENTS, MAX_TIMELINE, NewIncident, Operation,
    PageToken, Severity,
};
use uuid::Uuid;

use crate::{ManualClock, suite::rule_table};

/// Makes one test for each rule of [`IncidentRepo`] on what the expression makes.
#[macro_export]
macro_rules! incident_repo {
    ($make:expr) => {
        $crate::incident_repo_rules! { $crate::rule_tests, (incident_repo, $make) }
    };
}

/// Hands the list of rules to another macro.
#[doc(hidden)]
#[macro_export]
macro_rules! incident_repo_rules {
    ($then:path, $args:tt) => {
        $then! {
            $args
            an_incident_is_opened_and_found,
            a_key_that_is_open_is_said_again,
            of_several_at_once_one_opens,
            a_key_that_was_resolved_opens_a_new_one,
            severity_rises_and_falls_only_where_it_may,
            an_opening_is_done_once,
            a_change_is_done_once,
            who_acknowledged_and_resolved_is_kept,
            what_was_acknowledged_is_not_acknowledged_again,
            what_is_resolved_does_not_change,
            an_incident_is_found_by_its_key_until_it_is_resolved,
            a_timeline_is_in_order_and_in_pages,
            a_timeline_keeps_the_newest_entries,
            a_listing_is_newest_first_and_in_pages,
            a_listing_filters,
            a_counter_counts_and_goes_back,
            a_counter_counts_each_operation_once,
            there_are_so_many_counters_and_no_more,
            a_tenant_sees_nothing_of_anothers,
            texts_have_limits,
            the_one_that_was_resolved_first_goes_for_a_new_one,
            none_that_is_open_goes,
        }
    };
}

incident_repo_rules! { rule_table, (dyn IncidentRepo) }

type Repo = Arc<dyn IncidentRepo>;
type Time = Arc<ManualClock>;

const SECOND: Duration = Duration::from_secs(1);

fn local() -> TenantId {
    TenantId::local()
}

fn operation(key: &str) -> Operation {
    Operation {
        key: key.to_owned(),
        by: "user:ada".to_owned(),
    }
}

fn new(key: &str, severity: Severity) -> NewIncident {
    NewIncident {
        key: key.to_owned(),
        service: "shop".to_owned(),
        title: format!("{key} does not answer"),
        description: "nobody at the port".to_owned(),
        severity,
        may_lower: false,
        workflow: WorkflowId::new("watch").expect("it is an id"),
        execution: ExecutionId::from_bytes([7; 16]),
    }
}

fn id(number: u32) -> Uuid {
    Uuid::from_u128(u128::from(number))
}

async fn open(repo: &Repo, number: u32, key: &str) -> IncidentOpened {
    open_as(repo, number, new(key, Severity::Warning)).await
}

async fn open_as(repo: &Repo, number: u32, new: NewIncident) -> IncidentOpened {
    let operation = operation(&format!("open {number}"));
    let opened = repo.open(&local(), id(number), &operation, new).await;
    opened.expect("the store answers")
}

async fn opened(repo: &Repo, number: u32, key: &str) -> Incident {
    match open(repo, number, key).await {
        IncidentOpened::Opened(incident) => incident,
        other => panic!("no new incident, but {other:?}"),
    }
}

async fn change(
    repo: &Repo,
    which: IncidentRef,
    op: &str,
    what: IncidentChange,
) -> IncidentChanged {
    let changed = repo.change(&local(), &which, &operation(op), what).await;
    changed.expect("the store answers")
}

fn resolve(text: &str) -> IncidentChange {
    IncidentChange::Resolve(text.to_owned())
}

fn note(text: &str) -> IncidentChange {
    IncidentChange::Note(text.to_owned())
}

fn by_key(key: &str) -> IncidentRef {
    IncidentRef::Key(key.to_owned())
}

async fn get(repo: &Repo, which: IncidentRef) -> Option<Incident> {
    let found = repo.get(&local(), &which).await;
    found.expect("the store answers")
}

async fn listed(repo: &Repo, filter: &IncidentFilter) -> Vec<u128> {
    let page = repo.list(&local(), filter, None, 100).await;
    let items = page.expect("the store answers").items;
    items.iter().map(|it| it.id.as_u128()).collect()
}

async fn timeline(repo: &Repo, number: u32) -> Vec<String> {
    let entries = repo
        .timeline(&local(), id(number), 0, MAX_TIMELINE + 10)
        .await;
    let entries = entries.expect("the store answers");
    let shown = entries.iter();
    shown
        .map(|it| format!("{} {} {}", it.seq, it.what.as_str(), it.text))
        .collect()
}

async fn count(repo: &Repo, counter: &str, op: &str, change: CounterChange) -> u64 {
    let counted = repo.count(&local(), counter, &operation(op), change).await;
    counted.expect("the store answers")
}

/// What was opened is there, with all that was said. Guard: it is written.
pub async fn an_incident_is_opened_and_found(repo: &Repo, clock: &Time) {
    assert_eq!(get(repo, IncidentRef::Id(id(1))).await, None);
    let incident = opened(repo, 1, "shop").await;
    let expected = Incident {
        id: id(1),
        key: "shop".to_owned(),
        service: "shop".to_owned(),
        title: "shop does not answer".to_owned(),
        description: "nobody at the port".to_owned(),
        severity: Severity::Warning,
        status: IncidentStatus::Open,
        workflow: WorkflowId::new("watch").expect("it is an id"),
        execution: ExecutionId::from_bytes([7; 16]),
        occurrences: 1,
        entries: 1,
        opened_at: clock.now(),
        updated_at: clock.now(),
        acknowledged: None,
        resolved: None,
        resolution: None,
    };
    assert_eq!(incident, expected);
    assert_eq!(get(repo, IncidentRef::Id(id(1))).await, Some(expected));
    assert_eq!(timeline(repo, 1).await, ["1 opened shop does not answer"]);
}

/// A key that is open opens no second incident; it counts, and takes over the words. Guard: it is looked
/// for one that is open.
pub async fn a_key_that_is_open_is_said_again(repo: &Repo, clock: &Time) {
    let first = opened(repo, 1, "shop").await;
    clock.advance(SECOND);
    let mut again = new("shop", Severity::Warning);
    again.title = "shop still does not answer".to_owned();
    let IncidentOpened::Updated(second) = open_as(repo, 2, again).await else {
        panic!("a second incident");
    };
    assert_eq!((second.id, second.occurrences), (first.id, 2));
    assert_eq!(second.title, "shop still does not answer");
    assert_eq!(
        (second.opened_at, second.updated_at),
        (first.opened_at, clock.now())
    );
    assert_eq!(listed(repo, &IncidentFilter::default()).await, [1]);
    assert_eq!(timeline(repo, 1).await.len(), 2);
    let other = opened(repo, 3, "mill").await;
    assert_eq!(other.occurrences, 1);
}

/// Of several that open the same key at once, one does. Guard: looking and writing are one step.
pub async fn of_several_at_once_one_opens(repo: &Repo, _: &Time) {
    let all = join_all((1..=8).map(|number| open(repo, number, "shop"))).await;
    let new = |it: &&IncidentOpened| matches!(it, IncidentOpened::Opened(_));
    assert_eq!(all.iter().filter(new).count(), 1, "{all:?}");
    let found = get(repo, by_key("shop")).await.expect("it is open");
    assert_eq!(found.occurrences, 8);
    assert_eq!(listed(repo, &IncidentFilter::default()).await.len(), 1);
}

/// What is over is not said again. Guard: only one that is not resolved counts.
pub async fn a_key_that_was_resolved_opens_a_new_one(repo: &Repo, _: &Time) {
    let _ = opened(repo, 1, "shop").await;
    let _ = change(repo, by_key("shop"), "r", resolve("restarted")).await;
    let second = opened(repo, 2, "shop").await;
    assert_eq!((second.id, second.occurrences), (id(2), 1));
}

/// An incident does not become less bad by itself. Guards: the worse severity counts; unless it may fall.
pub async fn severity_rises_and_falls_only_where_it_may(repo: &Repo, _: &Time) {
    let steps = [
        (Severity::Warning, false, Severity::Warning),
        (Severity::Info, false, Severity::Warning),
        (Severity::Critical, false, Severity::Critical),
        (Severity::Warning, false, Severity::Critical),
        (Severity::Info, true, Severity::Info),
    ];
    for (number, (severity, may_lower, expected)) in (1..).zip(steps) {
        let said = NewIncident {
            may_lower,
            ..new("shop", severity)
        };
        let opened = open_as(repo, number, said).await;
        assert_eq!(opened.incident().severity, expected, "{number}");
    }
    let entries = repo
        .timeline(&local(), id(1), 0, 10)
        .await
        .expect("it answers");
    let severities: Vec<_> = entries.iter().map(|it| it.severity).collect();
    assert_eq!(severities, steps.map(|(_, _, expected)| expected));
}

/// An opening that is asked for again, after a lost reply, is the same one. Guard: operations are remembered.
pub async fn an_opening_is_done_once(repo: &Repo, _: &Time) {
    let _ = opened(repo, 1, "shop").await;
    let IncidentOpened::Same(same) = open(repo, 1, "shop").await else {
        panic!("it was done twice");
    };
    assert_eq!(same.occurrences, 1);
    // Also one that came to an incident that was open, and once that is over.
    let _ = open(repo, 2, "shop").await;
    let _ = change(repo, by_key("shop"), "r", resolve("")).await;
    let IncidentOpened::Same(same) = open(repo, 2, "shop").await else {
        panic!("it was done twice");
    };
    assert_eq!(
        (same.id, same.occurrences, same.status),
        (id(1), 2, IncidentStatus::Resolved)
    );
}

/// So is a change. Guard: operations are remembered.
pub async fn a_change_is_done_once(repo: &Repo, _: &Time) {
    let _ = opened(repo, 1, "shop").await;
    let first = change(repo, by_key("shop"), "n", note("looking")).await;
    assert!(matches!(first, IncidentChanged::Changed(_)), "{first:?}");
    let again = change(repo, by_key("shop"), "n", note("looking")).await;
    assert!(matches!(again, IncidentChanged::Same(_)), "{again:?}");
    assert_eq!(timeline(repo, 1).await.len(), 2);
    let done = change(repo, by_key("shop"), "r", resolve("it works")).await;
    assert!(matches!(done, IncidentChanged::Changed(_)), "{done:?}");
    // By now the key leads nowhere; the operation is known all the same.
    let again = change(repo, by_key("shop"), "r", resolve("it works")).await;
    assert!(matches!(again, IncidentChanged::Same(_)), "{again:?}");
}

/// Guard: who did it is written with it.
pub async fn who_acknowledged_and_resolved_is_kept(repo: &Repo, clock: &Time) {
    let _ = opened(repo, 1, "shop").await;
    clock.advance(SECOND);
    let taken_at = clock.now();
    let _ = change(
        repo,
        IncidentRef::Id(id(1)),
        "a",
        IncidentChange::Acknowledge,
    )
    .await;
    clock.advance(SECOND);
    let _ = change(repo, IncidentRef::Id(id(1)), "r", resolve("restarted")).await;
    let incident = get(repo, IncidentRef::Id(id(1)))
        .await
        .expect("it is there");
    assert_eq!(incident.status, IncidentStatus::Resolved);
    assert_eq!(incident.resolution.as_deref(), Some("restarted"));
    let taken = incident.acknowledged.expect("somebody took it");
    let resolved = incident.resolved.expect("somebody resolved it");
    assert_eq!((taken.by.as_str(), taken.at), ("user:ada", taken_at));
    assert_eq!(
        (resolved.by.as_str(), resolved.at),
        ("user:ada", clock.now())
    );
    let expected = [
        "1 opened shop does not answer",
        "2 acknowledged ",
        "3 resolved restarted",
    ];
    assert_eq!(timeline(repo, 1).await, expected);
}

/// Who took it first has it. Guard: it is taken only while it is open.
pub async fn what_was_acknowledged_is_not_acknowledged_again(repo: &Repo, _: &Time) {
    let _ = opened(repo, 1, "shop").await;
    let first = change(repo, by_key("shop"), "a", IncidentChange::Acknowledge).await;
    assert!(matches!(first, IncidentChanged::Changed(_)), "{first:?}");
    let second = change(repo, by_key("shop"), "b", IncidentChange::Acknowledge).await;
    assert!(matches!(second, IncidentChanged::Same(_)), "{second:?}");
    assert_eq!(timeline(repo, 1).await.len(), 2);
}

/// Guard: what is resolved is not changed.
pub async fn what_is_resolved_does_not_change(repo: &Repo, _: &Time) {
    let _ = opened(repo, 1, "shop").await;
    let _ = change(repo, by_key("shop"), "r", resolve("restarted")).await;
    let before = get(repo, IncidentRef::Id(id(1))).await;
    let changes = [note("late"), IncidentChange::Acknowledge, resolve("again")];
    for (number, what) in changes.into_iter().enumerate() {
        let op = format!("late {number}");
        let late = change(repo, IncidentRef::Id(id(1)), &op, what).await;
        assert!(matches!(late, IncidentChanged::Over(_)), "{late:?}");
    }
    assert_eq!(get(repo, IncidentRef::Id(id(1))).await, before);
    assert_eq!(timeline(repo, 1).await.len(), 2);
}

/// Guard: a key leads only to one that is not resolved.
pub async fn an_incident_is_found_by_its_key_until_it_is_resolved(repo: &Repo, _: &Time) {
    assert_eq!(get(repo, by_key("shop")).await, None);
    let _ = opened(repo, 1, "shop").await;
    let _ = opened(repo, 2, "mill").await;
    assert_eq!(get(repo, by_key("shop")).await.map(|it| it.id), Some(id(1)));
    let _ = change(repo, by_key("shop"), "a", IncidentChange::Acknowledge).await;
    assert_eq!(get(repo, by_key("shop")).await.map(|it| it.id), Some(id(1)));
    let _ = change(repo, by_key("shop"), "r", resolve("")).await;
    assert_eq!(get(repo, by_key("shop")).await, None);
    let nobody = change(repo, by_key("shop"), "n", note("?")).await;
    assert_eq!(nobody, IncidentChanged::Unknown);
    let nobody = change(repo, IncidentRef::Id(id(9)), "m", note("?")).await;
    assert_eq!(nobody, IncidentChanged::Unknown);
    let open = get(repo, by_key("mill")).await.expect("it is open");
    assert_eq!(open.status, IncidentStatus::Open);
}

/// Guard: entries come in their order, from a number on.
pub async fn a_timeline_is_in_order_and_in_pages(repo: &Repo, _: &Time) {
    let _ = opened(repo, 1, "shop").await;
    for number in 0..4 {
        let _ = change(repo, by_key("shop"), &format!("n{number}"), note("x")).await;
    }
    let page = |after, limit| async move {
        let page = repo.timeline(&local(), id(1), after, limit).await;
        let page = page.expect("the store answers");
        page.iter().map(|it| it.seq).collect::<Vec<_>>()
    };
    assert_eq!(page(0, 2).await, [1, 2]);
    assert_eq!(page(2, 2).await, [3, 4]);
    assert_eq!(page(4, 2).await, [5]);
    assert_eq!(page(5, 2).await, [0_u64; 0]);
    let first = repo
        .timeline(&local(), id(1), 0, 1)
        .await
        .expect("it answers");
    assert_eq!(
        (first[0].what, first[0].by.as_str()),
        (Happened::Opened, "user:ada")
    );
}

/// Guard: what is beyond [`MAX_TIMELINE`] goes.
pub async fn a_timeline_keeps_the_newest_entries(repo: &Repo, _: &Time) {
    let _ = opened(repo, 1, "shop").await;
    let ops: Vec<String> = (0..MAX_TIMELINE + 4).map(|it| format!("n{it}")).collect();
    join_all(
        ops.iter()
            .map(|op| change(repo, by_key("shop"), op, note("x"))),
    )
    .await;
    let entries = timeline(repo, 1).await;
    assert_eq!(entries.len(), MAX_TIMELINE);
    assert_eq!(entries[0], "6 noted x");
    let incident = get(repo, by_key("shop")).await.expect("it is open");
    assert_eq!(incident.entries, MAX_TIMELINE as u64 + 5);
}

/// Guard: a listing goes by the time of the opening, then by id.
pub async fn a_listing_is_newest_first_and_in_pages(repo: &Repo, clock: &Time) {
    for number in 1..=5 {
        let _ = opened(repo, number, &format!("k{number}")).await;
        if number % 2 == 0 {
            clock.advance(SECOND);
        }
    }
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let filter = IncidentFilter::default();
        let page = repo.list(&local(), &filter, after.as_ref(), 2).await;
        let page = page.expect("the store answers");
        assert!(page.items.len() <= 2);
        seen.extend(page.items.iter().map(|it| it.id.as_u128()));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen, [5, 4, 3, 2, 1]);
    let foreign = PageToken("nonsense".to_owned());
    let refused = repo
        .list(&local(), &IncidentFilter::default(), Some(&foreign), 2)
        .await;
    assert_eq!(
        refused.expect_err("it is no token").kind,
        ErrorKind::Invalid
    );
}

/// Guard: the filter is asked.
pub async fn a_listing_filters(repo: &Repo, _: &Time) {
    let severities = [Severity::Info, Severity::Warning, Severity::Critical];
    for (number, severity) in (1..).zip(severities) {
        let mut said = new(&format!("k{number}"), severity);
        said.service = format!("s{number}");
        let _ = open_as(repo, number, said).await;
    }
    let _ = change(repo, by_key("k2"), "a", IncidentChange::Acknowledge).await;
    let _ = change(repo, by_key("k3"), "r", resolve("")).await;
    let by_status = |statuses: &[IncidentStatus]| IncidentFilter {
        statuses: statuses.to_vec(),
        ..IncidentFilter::default()
    };
    let (open, taken) = (IncidentStatus::Open, IncidentStatus::Acknowledged);
    assert_eq!(listed(repo, &by_status(&[open])).await, [1]);
    assert_eq!(listed(repo, &by_status(&[open, taken])).await, [2, 1]);
    assert_eq!(listed(repo, &by_status(&[])).await, [3, 2, 1]);
    let bad = IncidentFilter {
        severity: Some(Severity::Warning),
        ..IncidentFilter::default()
    };
    assert_eq!(listed(repo, &bad).await, [3, 2]);
    let of = IncidentFilter {
        service: Some("s1".to_owned()),
        ..IncidentFilter::default()
    };
    assert_eq!(listed(repo, &of).await, [1]);
}

/// Guard: a counter is set back.
pub async fn a_counter_counts_and_goes_back(repo: &Repo, _: &Time) {
    assert_eq!(count(repo, "shop", "1", CounterChange::Add).await, 1);
    assert_eq!(count(repo, "shop", "2", CounterChange::Add).await, 2);
    assert_eq!(count(repo, "mill", "3", CounterChange::Add).await, 1);
    assert_eq!(count(repo, "shop", "4", CounterChange::Reset).await, 0);
    assert_eq!(count(repo, "shop", "5", CounterChange::Add).await, 1);
    assert_eq!(count(repo, "none", "6", CounterChange::Reset).await, 0);
}

/// Guard: operations are remembered, with what they came to.
pub async fn a_counter_counts_each_operation_once(repo: &Repo, _: &Time) {
    assert_eq!(count(repo, "shop", "1", CounterChange::Add).await, 1);
    assert_eq!(count(repo, "shop", "2", CounterChange::Add).await, 2);
    assert_eq!(count(repo, "shop", "1", CounterChange::Add).await, 1);
    assert_eq!(count(repo, "shop", "2", CounterChange::Add).await, 2);
    assert_eq!(count(repo, "shop", "3", CounterChange::Add).await, 3);
}

/// Guard: counters are counted, less those at 0.
pub async fn there_are_so_many_counters_and_no_more(repo: &Repo, _: &Time) {
    let names: Vec<String> = (0..MAX_INCIDENT_COUNTERS)
        .map(|it| format!("c{it}"))
        .collect();
    join_all(
        names
            .iter()
            .map(|it| count(repo, it, it, CounterChange::Add)),
    )
    .await;
    let more = repo
        .count(&local(), "more", &operation("more"), CounterChange::Add)
        .await;
    assert_eq!(more.expect_err("they are full").kind, ErrorKind::Full);
    assert_eq!(count(repo, "c0", "again", CounterChange::Add).await, 2);
    assert_eq!(count(repo, "c0", "back", CounterChange::Reset).await, 0);
    assert_eq!(count(repo, "more", "more", CounterChange::Add).await, 1);
}

/// Guards: what is kept and what was done is a tenant's own.
pub async fn a_tenant_sees_nothing_of_anothers(repo: &Repo, _: &Time) {
    let other = TenantId::new("other").expect("it is an id");
    let _ = opened(repo, 1, "shop").await;
    assert_eq!(count(repo, "c", "c", CounterChange::Add).await, 1);
    for which in [IncidentRef::Id(id(1)), by_key("shop")] {
        let found = repo.get(&other, &which).await.expect("the store answers");
        assert_eq!(found, None);
        let changed = repo
            .change(&other, &which, &operation("x"), note("x"))
            .await;
        assert_eq!(
            changed.expect("the store answers"),
            IncidentChanged::Unknown
        );
    }
    let listed = repo
        .list(&other, &IncidentFilter::default(), None, 10)
        .await;
    assert_eq!(listed.expect("the store answers").items, []);
    assert_eq!(
        repo.timeline(&other, id(1), 0, 10)
            .await
            .expect("it answers"),
        []
    );
    // The same key of an incident and of operations.
    let said = new("shop", Severity::Info);
    let mine = repo.open(&other, id(2), &operation("open 1"), said).await;
    let mine = mine.expect("the store answers");
    assert!(matches!(mine, IncidentOpened::Opened(_)), "{mine:?}");
    let counted = repo
        .count(&other, "c", &operation("c"), CounterChange::Add)
        .await;
    assert_eq!(counted.expect("the store answers"), 1);
}

/// Guard: texts are measured before anything is written.
pub async fn texts_have_limits(repo: &Repo, _: &Time) {
    let long = "x".repeat(MAX_INCIDENT_NAME + 1);
    let longer = "x".repeat(MAX_INCIDENT_TEXT + 1);
    let fine = new("shop", Severity::Info);
    let wrong = [
        NewIncident {
            key: String::new(),
            ..fine.clone()
        },
        NewIncident {
            key: long.clone(),
            ..fine.clone()
        },
        NewIncident {
            service: String::new(),
            ..fine.clone()
        },
        NewIncident {
            title: String::new(),
            ..fine.clone()
        },
        NewIncident {
            title: longer.clone(),
            ..fine.clone()
        },
        NewIncident {
            description: longer.clone(),
            ..fine.clone()
        },
    ];
    for said in wrong {
        let refused = repo.open(&local(), id(1), &operation("o"), said).await;
        assert_eq!(
            refused.expect_err("it is too long").kind,
            ErrorKind::Invalid
        );
    }
    for key in ["", long.as_str()] {
        let refused = repo
            .open(&local(), id(1), &operation(key), fine.clone())
            .await;
        assert_eq!(
            refused.expect_err("it is too long").kind,
            ErrorKind::Invalid
        );
        let refused = repo
            .count(&local(), key, &operation("o"), CounterChange::Add)
            .await;
        assert_eq!(
            refused.expect_err("it is too long").kind,
            ErrorKind::Invalid
        );
    }
    let _ = opened(repo, 1, "shop").await;
    for what in [note(""), note(&longer), resolve(&longer)] {
        let refused = repo
            .change(&local(), &by_key("shop"), &operation("o"), what)
            .await;
        assert_eq!(
            refused.expect_err("it is too long").kind,
            ErrorKind::Invalid
        );
    }
    for key in ["", long.as_str()] {
        let refused = repo
            .change(&local(), &by_key("shop"), &operation(key), note("seen"))
            .await;
        assert_eq!(
            refused.expect_err("it is too long").kind,
            ErrorKind::Invalid
        );
        let refused = repo
            .count(&local(), "shop", &operation(key), CounterChange::Add)
            .await;
        assert_eq!(
            refused.expect_err("it is too long").kind,
            ErrorKind::Invalid
        );
    }
    assert_eq!(timeline(repo, 1).await.len(), 1);
}

/// Opens [`MAX_INCIDENTS`].
async fn full(repo: &Repo) {
    let most = u32::try_from(MAX_INCIDENTS).expect("it is small");
    let keys: Vec<(u32, String)> = (1..=most).map(|it| (it, format!("k{it}"))).collect();
    join_all(keys.iter().map(|(number, key)| open(repo, *number, key))).await;
}

/// What is said of one more than there may be.
async fn refused(repo: &Repo, number: u32) -> ErrorKind {
    let (operation, new) = (operation("more"), new("more", Severity::Info));
    let refused = repo.open(&local(), id(number), &operation, new).await;
    refused.expect_err("they are full").kind
}

/// Guard: there is room for a new one only once an old one has gone.
pub async fn the_one_that_was_resolved_first_goes_for_a_new_one(repo: &Repo, clock: &Time) {
    full(repo).await;
    let more = u32::try_from(MAX_INCIDENTS).expect("it is small") + 1;
    assert_eq!(refused(repo, more).await, ErrorKind::Full);
    for number in [7, 3] {
        clock.advance(SECOND);
        let op = format!("r{number}");
        let _ = change(repo, IncidentRef::Id(id(number)), &op, resolve("")).await;
    }
    let _ = opened(repo, more, "more").await;
    assert_eq!(get(repo, IncidentRef::Id(id(7))).await, None);
    assert_eq!(
        repo.timeline(&local(), id(7), 0, 10)
            .await
            .expect("it answers"),
        []
    );
    assert!(get(repo, IncidentRef::Id(id(3))).await.is_some());
}

/// Guard: only what is resolved goes.
pub async fn none_that_is_open_goes(repo: &Repo, _: &Time) {
    full(repo).await;
    let more = u32::try_from(MAX_INCIDENTS).expect("it is small") + 1;
    assert_eq!(refused(repo, more).await, ErrorKind::Full);
    assert!(get(repo, by_key("k1")).await.is_some());
}
