//! Rules of how many credentials a tenant may have.

use nebula_ports::{CredentialPut, ErrorKind, MAX_TENANT_CREDENTIALS};

use super::fixture::*;
use crate::ManualClock;

/// As many as there may be: `c0`, `c1` and so on, all at once.
async fn fill(repo: &Repo) {
    let _ = promote(repo, "", "k1").await;
    let all = (0..MAX_TENANT_CREDENTIALS)
        .map(|number| put(repo, version(&format!("c{number}"), 1, b"x")));
    let answers = futures_util::future::join_all(all).await;
    assert!(answers.iter().all(|it| *it == CredentialPut::Stored));
}

/// What a put of another credential is refused with.
async fn refusal(repo: &Repo, name: &str, number: u32) -> ErrorKind {
    let refused = repo.put(&tenant(), version(name, number, b"x")).await;
    refused.unwrap_err().kind
}

/// The limit itself is allowed. Guard: `CredentialGuard::Most`.
pub async fn more_credentials_than_the_limit_are_refused(repo: &Repo, _: &ManualClock) {
    fill(repo).await;
    assert_eq!(refusal(repo, "more", 1).await, ErrorKind::Full);
    assert_eq!(get(repo, "more").await, None);
}

/// A full tenant is not a dead one. Guard: `CredentialGuard::MostVersions`.
pub async fn a_full_tenant_gets_new_versions(repo: &Repo, _: &ManualClock) {
    fill(repo).await;
    let next = version("c7", 2, b"next");
    assert_eq!(put(repo, next.clone()).await, CredentialPut::Stored);
    assert_eq!(put(repo, next.clone()).await, CredentialPut::Same);
    assert_eq!(get(repo, "c7").await, Some(next));
}

/// For one, also under the same id. Guard: `CredentialGuard::MostDeleted`.
pub async fn where_a_credential_was_deleted_there_is_room(repo: &Repo, _: &ManualClock) {
    fill(repo).await;
    for name in ["c7", "c8"] {
        let _ = repo.delete(&tenant(), &id(name)).await.unwrap();
    }
    for again in [version("c7", 3, b"x"), version("more", 1, b"x")] {
        assert_eq!(put(repo, again).await, CredentialPut::Stored);
    }
    for (name, number) in [("c8", 3), ("most", 1)] {
        assert_eq!(refusal(repo, name, number).await, ErrorKind::Full);
    }
}

/// Nobody's credentials are counted on another. Guard: `CredentialGuard::MostOfTenant`.
pub async fn a_full_tenant_takes_no_room_from_others(repo: &Repo, _: &ManualClock) {
    fill(repo).await;
    let promoted = repo.promote_key(&other_tenant(), None, &key("k1")).await;
    let _ = promoted.unwrap();
    let theirs = repo.put(&other_tenant(), version("c0", 1, b"x")).await;
    assert_eq!(theirs.unwrap(), CredentialPut::Stored);
}
