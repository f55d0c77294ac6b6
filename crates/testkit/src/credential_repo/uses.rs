//! Rules of uses: who used which version when.

use std::time::Duration;

use nebula_core::{Clock as _, ExecutionId};
use nebula_ports::{
    CredentialUse, CredentialUser, ErrorKind, MAX_CREDENTIAL_USES, MAX_DELETED_WITH_USES,
    MAX_USE_NODE, UseRecorded,
};

use super::fixture::*;
use crate::ManualClock;

fn attempt(number: u32) -> CredentialUser {
    CredentialUser::Attempt {
        execution: ExecutionId::from_bytes([0xfe; 16]),
        node: "orders/charge".to_owned(),
        attempt: number,
    }
}

async fn used(repo: &Repo, version: u32, user: &CredentialUser) -> UseRecorded {
    let recorded = repo.record_use(&tenant(), &id("shop"), version, user).await;
    recorded.unwrap()
}

async fn uses(repo: &Repo) -> Vec<CredentialUse> {
    let listed = repo.uses(&tenant(), &id("shop"), None, usize::MAX).await;
    listed.unwrap()
}

/// Version and user are kept. Guard: `CredentialGuard::UseKeeps`.
pub async fn a_use_is_listed_as_it_was_recorded(repo: &Repo, _: &ManualClock) {
    with_versions(repo, "shop", 2).await;
    let users = [
        attempt(u32::MAX),
        CredentialUser::Refresh,
        CredentialUser::Test,
        CredentialUser::Change,
    ];
    for user in &users {
        assert_eq!(used(repo, 1, user).await, UseRecorded::Recorded);
    }
    let listed = uses(repo).await;
    let kept: Vec<_> = listed.iter().rev().map(|it| it.user.clone()).collect();
    assert_eq!(kept, users);
    assert!(listed.iter().all(|it| it.version == 1));
}

/// No caller says when it was. Guard: `CredentialGuard::UseTime`.
pub async fn a_use_has_the_time_of_the_store(repo: &Repo, clock: &ManualClock) {
    with_versions(repo, "shop", 1).await;
    clock.advance(Duration::from_secs(60));
    let _ = used(repo, 1, &attempt(1)).await;
    assert_eq!(uses(repo).await[0].at, clock.now());
}

/// Nothing is recorded of what is not there. Guard: `CredentialGuard::UseUnknown`.
pub async fn a_use_needs_its_credential(repo: &Repo, _: &ManualClock) {
    assert_eq!(used(repo, 1, &attempt(1)).await, UseRecorded::Unknown);
    with_versions(repo, "shop", 1).await;
    let _ = repo.delete(&tenant(), &id("shop")).await.unwrap();
    assert_eq!(used(repo, 1, &attempt(1)).await, UseRecorded::Unknown);
    assert_eq!(uses(repo).await, []);
}

/// The limit itself is allowed. Guard: `CredentialGuard::UseNode`.
pub async fn a_use_without_a_possible_node_is_refused(repo: &Repo, _: &ManualClock) {
    with_versions(repo, "shop", 1).await;
    let of = |length: usize| CredentialUser::Attempt {
        execution: ExecutionId::from_bytes([1; 16]),
        node: "n".repeat(length),
        attempt: 1,
    };
    for length in [0, MAX_USE_NODE + 1] {
        let user = of(length);
        let refused = repo.record_use(&tenant(), &id("shop"), 1, &user).await;
        assert_eq!(refused.unwrap_err().kind, ErrorKind::Invalid);
    }
    assert_eq!(uses(repo).await, []);
    let largest = used(repo, 1, &of(MAX_USE_NODE)).await;
    assert_eq!(largest, UseRecorded::Recorded);
}

/// The last one is asked for most. Guard: `CredentialGuard::UseOrder`.
pub async fn uses_are_listed_newest_first(repo: &Repo, _: &ManualClock) {
    with_versions(repo, "shop", 1).await;
    for number in 1..=3 {
        let _ = used(repo, 1, &attempt(number)).await;
    }
    let listed = uses(repo).await;
    let users: Vec<_> = listed.iter().map(|it| it.user.clone()).collect();
    assert_eq!(users, [attempt(3), attempt(2), attempt(1)]);
    assert!(listed.is_sorted_by(|a, b| a.number > b.number));
}

/// Each page goes on before the last number, within its limit. Guard: `CredentialGuard::UsePages`.
pub async fn pages_of_uses_join(repo: &Repo, _: &ManualClock) {
    with_versions(repo, "shop", 1).await;
    for number in 1..=5 {
        let _ = used(repo, 1, &attempt(number)).await;
    }
    let mut joined = Vec::<CredentialUse>::new();
    for _ in 0..5 {
        let before = joined.last().map(|last| last.number);
        let page = repo.uses(&tenant(), &id("shop"), before, 2).await.unwrap();
        assert!(page.len() <= 2);
        joined.extend(page);
    }
    assert_eq!(joined, uses(repo).await);
}

/// A credential in use for years takes no more room. Guard: `CredentialGuard::UseLimit`.
pub async fn only_the_newest_uses_are_kept(repo: &Repo, _: &ManualClock) {
    with_versions(repo, "shop", 1).await;
    let last = u32::try_from(MAX_CREDENTIAL_USES).unwrap() + 3;
    for number in 1..=last {
        let _ = used(repo, 1, &attempt(number)).await;
    }
    let listed = uses(repo).await;
    assert_eq!(listed.len(), MAX_CREDENTIAL_USES);
    assert_eq!(listed[0].user, attempt(last));
    assert_eq!(listed[MAX_CREDENTIAL_USES - 1].user, attempt(4));
}

/// Who used it is asked most when it is gone. Guard: `CredentialGuard::UseStays`.
pub async fn the_uses_of_a_deleted_credential_stay(repo: &Repo, _: &ManualClock) {
    with_versions(repo, "shop", 1).await;
    let _ = used(repo, 1, &attempt(1)).await;
    let _ = repo.delete(&tenant(), &id("shop")).await.unwrap();
    assert_eq!(uses(repo).await.len(), 1);
    let _ = put(repo, version("shop", 3, b"v3")).await;
    let _ = used(repo, 3, &attempt(2)).await;
    let versions: Vec<_> = uses(repo).await.iter().map(|it| it.version).collect();
    assert_eq!(versions, [3, 1]);
}

/// Years of credentials that come and go take no more room; those of other tenants, and those that are
/// there, are not among them. Guard: `CredentialGuard::DeletedUses`.
pub async fn uses_of_so_many_deleted_credentials_are_kept(repo: &Repo, clock: &ManualClock) {
    let of = async |name: &str| {
        let listed = repo.uses(&tenant(), &id(name), None, usize::MAX).await;
        listed.unwrap().len()
    };
    let use_once = async |name: &str| {
        let user = CredentialUser::Test;
        let recorded = repo.record_use(&tenant(), &id(name), 1, &user).await;
        assert_eq!(recorded.unwrap(), UseRecorded::Recorded);
    };
    with_versions(repo, "stays", 1).await;
    use_once("stays").await;
    let names: Vec<_> = (0..=MAX_DELETED_WITH_USES)
        .map(|number| format!("c{number}"))
        .collect();
    for name in &names {
        let _ = put(repo, version(name, 1, b"x")).await;
        use_once(name).await;
    }
    // Not in the order in which they were put.
    for name in names.iter().rev() {
        clock.advance(Duration::from_secs(1));
        assert_eq!(of(&names[MAX_DELETED_WITH_USES]).await, 1);
        let _ = repo.delete(&tenant(), &id(name)).await.unwrap();
    }
    assert_eq!(of(&names[MAX_DELETED_WITH_USES]).await, 0);
    assert_eq!(of(&names[MAX_DELETED_WITH_USES - 1]).await, 1);
    assert_eq!((of(&names[0]).await, of("stays").await), (1, 1));
}

/// It is seen what nobody uses. Guard: `CredentialGuard::UsedAt`.
pub async fn a_listing_says_when_a_credential_was_used_last(repo: &Repo, clock: &ManualClock) {
    with_versions(repo, "shop", 1).await;
    let last = async || repo.list(&tenant(), None, 10).await.unwrap()[0].used_at;
    assert_eq!(last().await, None);
    for number in 1..=2 {
        clock.advance(Duration::from_secs(60));
        let _ = used(repo, 1, &attempt(number)).await;
        assert_eq!(last().await, Some(clock.now()));
    }
    let used_at = clock.now();
    clock.advance(Duration::from_secs(60));
    let _ = put(repo, version("shop", 2, b"v2")).await;
    assert_eq!(last().await, Some(used_at));
}
