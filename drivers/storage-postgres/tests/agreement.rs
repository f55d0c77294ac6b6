//! Random operations: the driver and the test kit's model give the same answers. The driver of SQLite is held
//! against the same model by the same operations, so all three agree.
#![cfg(unix)]

mod support;

use nebula_testkit::agree;
use support::{database, open};

#[test]
fn random_operations_on_executions_agree_with_the_model() {
    for seed in 0..4 {
        let Some(address) = database() else { return };
        agree::execution_repos(seed, 1_500, |clock| async move {
            open(&address, Some(clock)).await as _
        });
    }
}

#[test]
fn random_operations_on_credentials_agree_with_the_model() {
    for seed in 1..=3 {
        let Some(address) = database() else { return };
        agree::credential_repos(seed, 800, |clock| async move {
            open(&address, Some(clock)).await as _
        });
    }
}

#[test]
fn random_operations_on_identities_agree_with_the_model() {
    for seed in 1..=3 {
        let Some(address) = database() else { return };
        agree::identity_repos(seed, 1_000, |clock| async move {
            open(&address, Some(clock)).await as _
        });
    }
}

#[test]
fn random_operations_on_sessions_agree_with_the_model() {
    for seed in 1..=3 {
        let Some(address) = database() else { return };
        agree::session_repos(seed, 1_000, |clock| async move {
            open(&address, Some(clock)).await as _
        });
    }
}
