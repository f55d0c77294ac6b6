//! The collector: what it deletes, what it spares, and every order in which others may write beside it.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use crate::rig::{INLINE, Rig, succeeded, tenant, value};
use nebula_core::{BlobId, ByteSize, Clock, Digest, TenantId, Timestamp, canonical_json};
use nebula_execution::Fact;
use nebula_memory::{Collected, Collector, Grace, Sweep, Values};
use nebula_ports::{
    Blob, BlobListing, BlobStore, BlobStoreExt, Created, ExecutionRepo, MAX_BLOB_PAGE, NewSignal,
};
use nebula_testkit::{ManualClock, MemoryBlobStore, blob_store::Damage, run};
use serde_json::json;

const GRACE: Grace = Grace {
    lease: Duration::from_secs(10),
    attempt: Duration::from_secs(20),
    skew: Duration::from_secs(30),
};

fn collector(rig: &Rig) -> Collector {
    let clock = Arc::new(rig.clock.clone());
    Collector::new(rig.inner.clone(), rig.blobs.clone(), clock, GRACE)
}

async fn ids(blobs: &MemoryBlobStore) -> BTreeSet<BlobId> {
    let page = blobs.list(tenant(), &BlobListing::default()).await;
    page.unwrap().blobs.iter().map(|blob| blob.id).collect()
}

/// Guards: named by a spilled fact; by text within one; by text in a journal; by a signal that waits; as
/// the content of one; by text within that.
#[test]
fn what_is_named_anywhere_is_kept_and_nothing_else() {
    run(async {
        let rig = Rig::new();
        let put = async |content: &'static [u8]| {
            let put = rig.blobs.put_bytes(tenant(), content.into());
            put.await.unwrap().id
        };
        let (within, inline, input, signal, orphan) = (
            put(b"within").await,
            put(b"inline").await,
            put(b"input").await,
            put(b"signal").await,
            put(b"orphan").await,
        );
        let lease = rig.created(1, json!({ "file": input })).await;
        let mut large = value(1, 5_000);
        large["file"] = json!(within);
        let facts = vec![succeeded(large), succeeded(json!([inline.digest]))];
        let _ = rig.apply(&lease, 2, facts).await.unwrap();
        let new = NewSignal {
            kind: "paid".to_owned(),
            payload: json!(format!("see {}", signal.digest)),
            dedupe: nebula_ports::DedupeKey("1".to_owned()),
        };
        let _ = rig
            .repo
            .signal(tenant(), lease.execution, new)
            .await
            .unwrap();
        let mut payload = value(2, 5_000);
        payload["file"] = json!(put(b"in a signal").await);
        let new = NewSignal {
            kind: "paid".to_owned(),
            payload,
            dedupe: nebula_ports::DedupeKey("2".to_owned()),
        };
        let _ = rig
            .repo
            .signal(tenant(), lease.execution, new)
            .await
            .unwrap();
        let all = ids(&rig.blobs).await;
        assert_eq!(all.len(), 8);

        let young = collector(&rig).collect(tenant()).await.unwrap();
        assert_eq!(young, Collected::default(), "nothing is old");

        rig.clock.advance(GRACE.total() + Duration::from_millis(1));
        let collected = collector(&rig).collect(tenant()).await.unwrap();
        let expected = Collected {
            old: 8,
            deleted: 1,
            bytes: orphan.length,
            ..Collected::default()
        };
        assert_eq!(collected, expected);
        let mut left = all;
        left.remove(&orphan);
        assert_eq!(ids(&rig.blobs).await, left);
    });
}

/// Guards: a result that a journal names stays, and so does what it names; one that cannot be read is
/// counted.
#[test]
fn a_result_in_a_blob_is_kept_and_keeps_what_it_names() {
    run(async {
        let rig = Rig::new();
        let put = async |content: String| {
            let put = rig.blobs.put_bytes(tenant(), content.into_bytes().into());
            put.await.unwrap().id
        };
        let within = put("within".to_owned()).await;
        let result = put(json!({ "file": within }).to_string()).await;
        let long = put(json!({ "also": 1 }).to_string()).await;
        let orphan = put("orphan".to_owned()).await;
        let lease = rig.created(1, json!({})).await;
        let spilled = |blob, lineage| Fact::AttemptSpilled {
            instance: "fetch".parse().unwrap(),
            attempt: 1,
            blob,
            port: "main".into(),
            lineage,
            taken: nebula_execution::Taken::All,
            micros: 5,
        };
        // The second fact lies in a blob itself.
        let facts = vec![
            spilled(result, None),
            spilled(long, Some((0..1_000).collect())),
        ];
        let _ = rig.apply(&lease, 2, facts).await.unwrap();
        let mut left = ids(&rig.blobs).await;
        left.remove(&orphan);
        rig.clock.advance(GRACE.total() + Duration::from_millis(1));
        let collected = collector(&rig).collect(tenant()).await.unwrap();
        assert_eq!((collected.deleted, collected.unreadable), (1, 0));
        assert_eq!(ids(&rig.blobs).await, left);
        for blob in [result, long] {
            rig.blobs.damage(tenant(), blob.digest, Damage::Flip(1));
        }
        let collected = collector(&rig).collect(tenant()).await.unwrap();
        assert_eq!(collected.unreadable, 2);
    });
}

/// Guards: an input that a journal names stays, and so does what it names; its digest names nothing; one
/// that cannot be read is counted.
#[test]
fn an_input_in_a_blob_is_kept_and_keeps_what_it_names() {
    run(async {
        let rig = Rig::new();
        let put = async |content: String| {
            let put = rig.blobs.put_bytes(tenant(), content.into_bytes().into());
            put.await.unwrap().id
        };
        let within = put("within".to_owned()).await;
        // The fields are not in the order that the digest is taken in.
        let mut value = json!({ "text": "x".repeat(2_000) });
        value["file"] = json!(within);
        let alike = put(canonical_json(&value)).await;
        let mut new = rig.new_execution(1, value.clone());
        let values = Values::new(rig.blobs.clone(), ByteSize::bytes(INLINE), ByteSize::mib(1));
        values.put_input(&mut new).await;
        let started = new.started().unwrap();
        let blob = started.input_blob.as_ref().unwrap().blob();
        assert_eq!(*started.input, json!(alike.digest));
        assert_eq!(
            *Values::input(Some(&values), tenant(), started)
                .await
                .unwrap(),
            value
        );
        let _ = Values::input(None, tenant(), started).await.unwrap_err();
        rig.clock.advance(GRACE.total() + Duration::from_millis(1));
        let created = rig.repo.create(tenant(), new, None, None).await.unwrap();
        assert_eq!(created, Created::Created(None));
        // Whoever names it renews it.
        let now = rig.clock.now();
        let head = rig
            .blobs
            .head(tenant(), blob.digest)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(head.renewed_at, now);
        rig.clock.advance(GRACE.total() + Duration::from_millis(1));
        let collected = collector(&rig).collect(tenant()).await.unwrap();
        assert_eq!((collected.deleted, collected.unreadable), (1, 0));
        assert_eq!(ids(&rig.blobs).await, BTreeSet::from([within, blob]));
        rig.blobs.damage(tenant(), blob.digest, Damage::Flip(1));
        let collected = collector(&rig).collect(tenant()).await.unwrap();
        assert_eq!(collected.unreadable, 1);
    });
}

/// Guard: the digest of what an attempt was given keeps no blob that has the same content.
#[test]
fn what_an_attempt_was_given_names_no_blob() {
    run(async {
        let rig = Rig::new();
        let given = json!({ "text": "x" }).to_string();
        let put = rig.blobs.put_bytes(tenant(), given.into_bytes().into());
        let input = put.await.unwrap().id.digest;
        let lease = rig.created(1, json!({})).await;
        let (instance, key) = ("fetch".parse().unwrap(), "key".to_owned());
        let deadline = rig.clock.now();
        let undone = Fact::CompensationStarted {
            instance,
            attempt: 1,
            key: key.clone(),
            input,
            deadline,
        };
        let started = Fact::AttemptStarted {
            instance: "fetch".parse().unwrap(),
            attempt: 1,
            key,
            input,
            deadline,
        };
        let _ = rig.apply(&lease, 2, vec![started, undone]).await.unwrap();
        rig.clock.advance(GRACE.total() + Duration::from_millis(1));
        let collected = collector(&rig).collect(tenant()).await.unwrap();
        assert_eq!((collected.old, collected.deleted), (1, 1));
    });
}

/// Guards: the longest lease, the longest attempt and the clocks count together: so long a blob is young.
#[test]
fn a_blob_is_young_for_a_lease_an_attempt_and_the_clocks_together() {
    run(async {
        let rig = Rig::new();
        let put = rig.blobs.put_bytes(tenant(), b"orphan".as_slice().into());
        let _ = put.await.unwrap();
        rig.clock.advance(Duration::from_secs(10 + 20 + 30));
        let young = collector(&rig).collect(tenant()).await.unwrap();
        assert_eq!(young, Collected::default());
        rig.clock.advance(Duration::from_millis(1));
        let collected = collector(&rig).collect(tenant()).await.unwrap();
        assert_eq!((collected.old, collected.deleted), (1, 1));
    });
}

/// Guards: each listing is read to its end, of executions, of a journal, of an inbox and of blobs. What stands
/// behind a first page is named as well, and what lies there goes as well.
#[test]
fn what_is_named_behind_a_first_page_is_kept() {
    run(async {
        let rig = Rig::new();
        let put = async |content: String| {
            let put = rig.blobs.put_bytes(tenant(), content.into());
            put.await.unwrap().id
        };
        let mut named = BTreeSet::new();
        for n in 0..250 {
            let blob = put(format!("of execution {n}")).await;
            let _ = rig.created(n, json!({ "file": blob })).await;
            named.insert(blob);
        }
        let lease = rig.created(255, json!({})).await;
        let mut facts = Vec::new();
        for n in 0..250 {
            let blob = put(format!("of fact {n}")).await;
            facts.push(succeeded(json!(blob)));
            named.insert(blob);
        }
        let _ = rig.apply(&lease, 2, facts).await.unwrap();
        for n in 0..250 {
            let blob = put(format!("of signal {n}")).await;
            let new = NewSignal {
                kind: "paid".to_owned(),
                payload: json!(blob),
                dedupe: nebula_ports::DedupeKey(n.to_string()),
            };
            let sent = rig.repo.signal(tenant(), lease.execution, new).await;
            let _ = sent.unwrap();
            named.insert(blob);
        }
        let orphans = 2 * MAX_BLOB_PAGE + 1;
        for n in 0..orphans {
            put(format!("of nobody {n}")).await;
        }
        rig.clock.advance(GRACE.total() + Duration::from_secs(1));
        let collected = collector(&rig).collect(tenant()).await.unwrap();
        assert_eq!(
            (collected.old, collected.deleted, collected.unreadable),
            (named.len() + orphans, orphans, 0)
        );
        let mut left = BTreeSet::new();
        let mut listing = BlobListing::default();
        loop {
            let page = rig.blobs.list(tenant(), &listing).await.unwrap();
            left.extend(page.blobs.iter().map(|blob| blob.id));
            listing.after = page.next;
            if listing.after.is_none() {
                break;
            }
        }
        assert_eq!(left, named);
    });
}

/// Guard: what a journal names goes when the journal has gone.
#[test]
fn what_only_a_deleted_journal_named_goes() {
    run(async {
        let rig = Rig::new();
        let lease = rig.created(1, json!({})).await;
        let end = Fact::ExecutionCompleted {
            output: Arc::new(value(1, 5_000)),
        };
        let _ = rig.apply(&lease, 2, vec![end]).await.unwrap();
        rig.clock.advance(GRACE.total() + Duration::from_secs(1));
        let kept = collector(&rig).collect(tenant()).await.unwrap();
        assert_eq!((kept.old, kept.deleted), (1, 0));
        let gone = rig.repo.delete_ended(tenant(), rig.clock.now(), 10).await;
        assert_eq!(gone.unwrap(), 1);
        let collected = collector(&rig).collect(tenant()).await.unwrap();
        assert_eq!((collected.old, collected.deleted), (1, 1));
    });
}

/// Guard: a tenant's journals keep that tenant's blobs, and a collection touches no other.
#[test]
fn another_tenants_blobs_are_not_looked_at() {
    run(async {
        let rig = Rig::new();
        let other = TenantId::new("other").unwrap();
        let put = rig.blobs.put_bytes(&other, b"content".as_slice().into());
        let blob = put.await.unwrap();
        rig.clock.advance(GRACE.total() * 2);
        let collected = collector(&rig).collect(tenant()).await.unwrap();
        assert_eq!(collected, Collected::default());
        let left = rig.blobs.head(&other, blob.id.digest).await.unwrap();
        assert_eq!(left, Some(blob));
    });
}

/// Guards: a blob that cannot be read is counted, and may name any other: nothing goes until it is read again.
#[test]
fn nothing_is_deleted_while_something_that_is_named_cannot_be_read() {
    run(async {
        let rig = Rig::new();
        let lease = rig.created(1, json!({})).await;
        let facts = vec![succeeded(value(1, 5_000))];
        let _ = rig.apply(&lease, 2, facts).await.unwrap();
        let named = ids(&rig.blobs).await.pop_first().unwrap();
        let put = rig.blobs.put_bytes(tenant(), b"orphan".as_slice().into());
        let orphan = put.await.unwrap().id;
        rig.blobs.damage(tenant(), named.digest, Damage::Flip(3));
        rig.clock.advance(GRACE.total() * 2);
        let collected = collector(&rig).collect(tenant()).await.unwrap();
        let counts = (collected.deleted, collected.unreadable);
        assert_eq!(counts, (0, 1));
        assert!(ids(&rig.blobs).await.contains(&orphan));
        // The same bits again are the content.
        rig.blobs.damage(tenant(), named.digest, Damage::Flip(3));
        let collected = collector(&rig).collect(tenant()).await.unwrap();
        let counts = (collected.deleted, collected.unreadable);
        assert_eq!(counts, (1, 0));
        assert_eq!(ids(&rig.blobs).await, BTreeSet::from([named]));
    });
}

/// Guard: the content of a signal that cannot be read may name any blob as well.
#[test]
fn nothing_is_deleted_while_the_content_of_a_signal_cannot_be_read() {
    run(async {
        let rig = Rig::new();
        let lease = rig.created(1, json!({})).await;
        let new = NewSignal {
            kind: "paid".to_owned(),
            payload: value(1, 5_000),
            dedupe: nebula_ports::DedupeKey("1".to_owned()),
        };
        let sent = rig.repo.signal(tenant(), lease.execution, new).await;
        let _ = sent.unwrap();
        let named = ids(&rig.blobs).await.pop_first().unwrap();
        let put = rig.blobs.put_bytes(tenant(), b"orphan".as_slice().into());
        let orphan = put.await.unwrap().id;
        rig.blobs.damage(tenant(), named.digest, Damage::Flip(3));
        rig.clock.advance(GRACE.total() * 2);
        let collected = collector(&rig).collect(tenant()).await.unwrap();
        assert_eq!((collected.deleted, collected.unreadable), (0, 1));
        assert_eq!(ids(&rig.blobs).await, BTreeSet::from([named, orphan]));
    });
}

/// What somebody does next. Each actor's own acts keep their order; between actors, any order goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    /// A writer puts the blob, or renews it by that.
    Put(usize),
    /// And names it in its journal.
    Commit(usize),
    /// The journal that has named it so far is deleted.
    Forget,
    /// The collector lists what is old,
    List,
    /// reads the journals,
    Read,
    /// and deletes what nothing named.
    Delete,
    /// Time passes: less than the grace, and more than half of it.
    Wait,
}

use Act::*;

/// What a collector may do wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Defect {
    None,
    /// It reads the journals, and then lists.
    ReadsFirst,
    /// It deletes whatever the age is by then.
    DeletesAnyAge,
    /// It takes young ones, too.
    NoGrace,
    /// It looks at no journal.
    ReadsNothing,
}

/// Every way in which the actors' acts can follow each other.
fn orders(actors: &mut [&[Act]], order: &mut Vec<Act>, each: &mut impl FnMut(&[Act])) {
    let mut done = true;
    for index in 0..actors.len() {
        let Some((act, rest)) = actors[index].split_first() else {
            continue;
        };
        done = false;
        let before = std::mem::replace(&mut actors[index], rest);
        order.push(*act);
        orders(actors, order, each);
        order.pop();
        actors[index] = before;
    }
    if done {
        each(order);
    }
}

/// Whether each writer commits within the grace after its put; else it breaks its own rule.
fn is_allowed(order: &[Act]) -> bool {
    let place = |act| order.iter().position(|it| *it == act);
    (0..2).all(|writer| match (place(Put(writer)), place(Commit(writer))) {
        (Some(put), Some(commit)) => {
            order[put..commit].iter().filter(|it| **it == Wait).count() < 2
        }
        _ => true,
    })
}

/// Lives through one order; says what is wrong at its end.
async fn live(order: &[Act], named: bool, defect: Defect) -> Option<String> {
    let (clock, tenant) = (ManualClock::default(), tenant());
    let blobs = MemoryBlobStore::new(Arc::new(clock.clone()));
    let grace = GRACE.total();
    let content = b"content".as_slice();
    let id = blobs.put_bytes(tenant, content.into()).await.unwrap().id;
    clock.advance(grace * 3);
    // The journals of executions, and the text of each.
    let mut journals: Vec<Option<String>> = vec![None; 3];
    let text = format!(r#"{{"spilled":"{}"}}"#, id.digest);
    journals[2] = named.then(|| text.clone());
    let mut sweep = Sweep::default();
    let mut seen: Vec<Blob> = Vec::new();
    let show = |sweep: &mut Sweep, journals: &[Option<String>]| {
        for journal in journals.iter().flatten() {
            sweep.read(journal.as_bytes());
            sweep.end();
        }
    };
    for act in order {
        match act {
            Put(_) => {
                let _ = blobs.put_bytes(tenant, content.into()).await.unwrap();
            }
            Commit(writer) => journals[*writer] = Some(text.clone()),
            Forget => journals[2] = None,
            Wait => clock.advance(grace * 2 / 3),
            List | Read if defect == Defect::ReadsFirst => {
                // What it read is remembered, and what it lists later is held against that.
                if *act == List {
                    let named = journals.iter().flatten().count() > 0;
                    seen = if named {
                        vec![Blob {
                            id,
                            renewed_at: Timestamp::MAX,
                        }]
                    } else {
                        vec![]
                    };
                } else {
                    let old = old(&blobs, &clock, grace).await;
                    sweep = Sweep::new(if seen.is_empty() { old } else { vec![] });
                }
            }
            List => {
                let grace = if defect == Defect::NoGrace {
                    Duration::ZERO
                } else {
                    grace
                };
                sweep = Sweep::new(old(&blobs, &clock, grace).await);
            }
            Read if defect == Defect::ReadsNothing => {}
            Read => show(&mut sweep, &journals),
            Delete => {
                for blob in std::mem::take(&mut sweep).doomed() {
                    let mut seen = blob.renewed_at;
                    if defect == Defect::DeletesAnyAge
                        && let Some(now) = blobs.head(tenant, id.digest).await.unwrap()
                    {
                        seen = now.renewed_at;
                    }
                    let _ = blobs.delete(tenant, blob.id.digest, seen).await.unwrap();
                }
            }
        }
    }
    let named = journals.iter().any(Option::is_some);
    let read = blobs.get_bytes(tenant, id).await.unwrap();
    if named && read.as_deref() != Some(content) {
        return Some("a journal names what is gone".to_owned());
    }
    // In peace, another collection takes what nothing names, and that alone.
    clock.advance(grace * 2);
    let mut sweep = Sweep::new(old(&blobs, &clock, grace).await);
    show(&mut sweep, &journals);
    for blob in sweep.doomed() {
        let _ = blobs
            .delete(tenant, blob.id.digest, blob.renewed_at)
            .await
            .unwrap();
    }
    let there = blobs.head(tenant, id.digest).await.unwrap().is_some();
    (there != named).then(|| format!("named: {named}, there: {there}"))
}

async fn old(blobs: &MemoryBlobStore, clock: &ManualClock, grace: Duration) -> Vec<Blob> {
    let grace = i64::try_from(grace.as_millis()).unwrap();
    let listing = BlobListing {
        renewed_before: Timestamp::from_millis(
            clock.now().as_millis() - grace + i64::from(grace == 0),
        ),
        ..BlobListing::default()
    };
    blobs.list(tenant(), &listing).await.unwrap().blobs
}

/// How many orders there were, and those that ended wrong.
fn explore(defect: Defect) -> (usize, Vec<String>) {
    let (mut count, mut wrong) = (0, Vec::new());
    for named in [false, true] {
        let mut actors: [&[Act]; 5] = [
            &[Put(0), Commit(0)],
            &[Put(1), Commit(1)],
            &[List, Read, Delete],
            &[Wait, Wait],
            if named { &[Forget] } else { &[] },
        ];
        orders(&mut actors, &mut Vec::new(), &mut |order| {
            if !is_allowed(order) {
                return;
            }
            // One is enough to find a defect.
            if defect != Defect::None && !wrong.is_empty() {
                return;
            }
            count += 1;
            if let Some(what) = run(live(order, named, defect)) {
                wrong.push(format!("{order:?}: {what}"));
            }
        });
    }
    (count, wrong)
}

/// Two writers, one collector, a journal that is deleted, and time: all orders of their acts.
#[test]
fn in_no_order_does_a_journal_name_what_is_gone() {
    let (count, wrong) = explore(Defect::None);
    assert!(count > 10_000, "{count}");
    assert!(
        wrong.is_empty(),
        "{} of {count}: {:#?}",
        wrong.len(),
        &wrong[..3]
    );
}

/// A test of the test: each guard of the collector is missed in some order.
#[test]
fn each_defect_of_a_collector_is_found() {
    for defect in [
        Defect::ReadsFirst,
        Defect::DeletesAnyAge,
        Defect::NoGrace,
        Defect::ReadsNothing,
    ] {
        let (_, wrong) = explore(defect);
        assert!(!wrong.is_empty(), "{defect:?}");
    }
}

/// The names that a journal holds are found by their digits.
#[test]
fn a_blobs_name_reads_as_its_digest() {
    let id = BlobId::of(b"content");
    let text = serde_json::to_string(&id).unwrap();
    let mut sweep = Sweep::new([Blob {
        id,
        renewed_at: Timestamp::default(),
    }]);
    sweep.read(text.as_bytes());
    assert!(sweep.is_empty(), "{text}");
    assert_eq!(id.digest, Digest::of(b"content"));
}
