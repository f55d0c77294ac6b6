//! Rules of versions: `save` and `get`.

use futures_util::future::join_all;
use nebula_core::Clock;
use nebula_ports::{NewVersion, Saved};

use super::fixture::*;
use crate::ManualClock;

/// The first save makes version 1. Guard: `WorkflowGuard::FirstVersion`.
pub async fn the_first_save_is_version_one(repo: &Repo, _: &ManualClock) {
    let saved = save(repo, definition("orders", 1)).await;
    assert!(
        matches!(
            saved,
            Saved::New {
                version: 1,
                revision: 1..
            }
        ),
        "{saved:?}"
    );
}

/// Versions are numbered 1, 2, 3, and each save raises the revision. Guard: `WorkflowGuard::Numbering`.
pub async fn versions_are_numbered_without_gaps(repo: &Repo, _: &ManualClock) {
    let mut revision_before = 0;
    for expected in 1..=4 {
        let Saved::New { version, revision } = save(repo, definition("orders", expected)).await
        else {
            panic!("version {expected} is not new");
        };
        assert_eq!(version, expected);
        assert!(revision > revision_before);
        revision_before = revision;
    }
}

/// A definition that is there already makes no version and moves nothing. Guard: `WorkflowGuard::SameDigest`.
pub async fn the_same_digest_is_the_same_version(repo: &Repo, _: &ManualClock) {
    let revision = saved(repo, "orders", 1).await;
    let again = save(repo, definition("orders", 1)).await;
    assert_eq!(
        again,
        Saved::Unchanged {
            version: 1,
            revision
        }
    );
    assert_eq!(summary(repo, "orders").await.latest, 1);
}

/// So does one that is there, but is not the latest. Guard: `WorkflowGuard::AnyDigest`.
pub async fn an_older_digest_is_found_again(repo: &Repo, _: &ManualClock) {
    let revision = saved(repo, "orders", 3).await;
    let again = save(repo, definition("orders", 2)).await;
    assert_eq!(
        again,
        Saved::Unchanged {
            version: 2,
            revision
        }
    );
    assert_eq!(summary(repo, "orders").await.latest, 3);
}

/// Whoever began from an older revision overwrites nobody's work. Guard: `WorkflowGuard::SaveRevision`.
pub async fn a_save_from_an_outdated_revision_changes_nothing(repo: &Repo, _: &ManualClock) {
    let first = saved(repo, "orders", 1).await;
    let _ = save(repo, from(first, definition("orders", 2))).await;
    let late = save(repo, from(first, definition("orders", 3))).await;
    assert!(matches!(late, Saved::Conflict { .. }), "{late:?}");
    assert_eq!(summary(repo, "orders").await.latest, 2);
    assert_eq!(
        repo.get(&tenant(), &id("orders"), Some(3)).await.unwrap(),
        None
    );
}

/// A conflict tells the revision to begin from. Guard: `WorkflowGuard::ConflictTells`.
pub async fn a_conflict_tells_the_revision(repo: &Repo, _: &ManualClock) {
    let revision = saved(repo, "orders", 2).await;
    let late = save(repo, from(revision - 1, definition("orders", 3))).await;
    assert_eq!(late, Saved::Conflict { revision });
    let again = save(repo, from(revision, definition("orders", 3))).await;
    assert!(matches!(again, Saved::New { version: 3, .. }), "{again:?}");
}

/// Of many saves from one revision at once, one wins. Guard: `WorkflowGuard::SaveRevision`.
pub async fn of_saves_at_once_one_wins(repo: &Repo, _: &ManualClock) {
    let revision = saved(repo, "orders", 1).await;
    let calls = (2..10).map(|content| save(repo, from(revision, definition("orders", content))));
    let answers = join_all(calls).await;
    let new = answers
        .iter()
        .filter(|saved| matches!(saved, Saved::New { version: 2, .. }))
        .count();
    let conflicts = answers
        .iter()
        .filter(|saved| matches!(saved, Saved::Conflict { .. }))
        .count();
    assert_eq!((new, conflicts), (1, 7), "{answers:?}");
}

/// A save that is repeated after a lost reply is unchanged, although its revision is outdated by itself. Guard: `WorkflowGuard::DigestFirst`.
pub async fn a_repeated_save_is_unchanged(repo: &Repo, _: &ManualClock) {
    let first = saved(repo, "orders", 1).await;
    let new = from(first, definition("orders", 2));
    let Saved::New { version, revision } = save(repo, new.clone()).await else {
        panic!("not new")
    };
    assert_eq!(
        save(repo, new).await,
        Saved::Unchanged { version, revision }
    );
}

/// A save that names no revision overrides whatever is there. Guard: `WorkflowGuard::Override`.
pub async fn a_save_without_a_revision_overrides(repo: &Repo, _: &ManualClock) {
    let _ = saved(repo, "orders", 3).await;
    let saved = save(repo, definition("orders", 9)).await;
    assert!(matches!(saved, Saved::New { version: 4, .. }), "{saved:?}");
}

/// An author of a new workflow begins from revision 0; any other is a conflict. Guard: `WorkflowGuard::UnknownRevision`.
pub async fn a_workflow_that_is_not_there_has_revision_zero(repo: &Repo, _: &ManualClock) {
    let late = save(repo, from(4, definition("orders", 1))).await;
    assert_eq!(late, Saved::Conflict { revision: 0 });
    let first = save(repo, from(0, definition("orders", 1))).await;
    assert!(matches!(first, Saved::New { version: 1, .. }), "{first:?}");
}

/// A version stays as it was saved. Guard: `WorkflowGuard::Immutable`.
pub async fn a_version_never_changes(repo: &Repo, clock: &ManualClock) {
    let _ = saved(repo, "orders", 1).await;
    let before = repo.get(&tenant(), &id("orders"), Some(1)).await.unwrap();
    clock.advance(std::time::Duration::from_secs(1));
    let _ = saved(repo, "orders", 3).await;
    assert_eq!(
        repo.get(&tenant(), &id("orders"), Some(1)).await.unwrap(),
        before
    );
    assert_eq!(
        before.unwrap().definition,
        definition("orders", 1).definition
    );
}

/// Without a number, the latest version is meant. Guard: `WorkflowGuard::LatestDefault`.
pub async fn the_latest_version_is_the_default(repo: &Repo, _: &ManualClock) {
    let _ = saved(repo, "orders", 3).await;
    let latest = repo
        .get(&tenant(), &id("orders"), None)
        .await
        .unwrap()
        .unwrap();
    let NewVersion {
        definition, digest, ..
    } = definition("orders", 3);
    assert_eq!(
        (latest.version, latest.definition, latest.digest),
        (3, definition, digest)
    );
}

/// What was never saved is not there. Guard: `WorkflowGuard::UnknownIsNone`.
pub async fn an_unknown_workflow_or_version_is_none(repo: &Repo, _: &ManualClock) {
    let _ = saved(repo, "orders", 1).await;
    for version in [0, 2, u32::MAX] {
        assert_eq!(
            repo.get(&tenant(), &id("orders"), Some(version))
                .await
                .unwrap(),
            None
        );
    }
    assert_eq!(
        repo.get(&tenant(), &id("refunds"), None).await.unwrap(),
        None
    );
}

/// A version has the time at which it was saved, by the store's clock. Guard: `WorkflowGuard::StoreTime`.
pub async fn a_version_has_the_time_of_the_store(repo: &Repo, clock: &ManualClock) {
    clock.advance(std::time::Duration::from_secs(90));
    let now = clock.now();
    let _ = saved(repo, "orders", 1).await;
    clock.advance(std::time::Duration::from_secs(1));
    assert_eq!(
        repo.get(&tenant(), &id("orders"), None)
            .await
            .unwrap()
            .unwrap()
            .saved_at,
        now
    );
}
