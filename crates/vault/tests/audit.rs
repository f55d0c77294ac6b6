//! What the audit log is told: of every use that no person asked for, before the value is given out.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use nebula_core::{CredentialId, ExecutionId, TenantId};
use nebula_credential::{AllowedHosts, Credential, CredentialType};
use nebula_ports::{
    AuditEntry, AuditHead, AuditLog, AuditOutcome, CredentialUser, ErrorKind, MAX_AUDIT_TEXT,
    NewAudit, PortError, Result,
};
use nebula_testkit::{
    ManualClock, MemoryAuditLog, MemoryCredentialRepo, MemorySecretsStore, SeededEntropy, run,
};
use nebula_vault::{Vault, VaultError};
use serde_json::{Value, json};

/// A log that takes nothing.
#[derive(Debug)]
struct Broken;

#[async_trait]
impl AuditLog for Broken {
    async fn append(&self, _: &TenantId, _: NewAudit) -> Result<AuditEntry> {
        let message = "the disk is full";
        Err(PortError::new(ErrorKind::Full, "broken", "append", message))
    }

    async fn entries(&self, _: &TenantId, _: u64, _: usize) -> Result<Vec<AuditEntry>> {
        Ok(Vec::new())
    }

    async fn head(&self, _: &TenantId) -> Result<Option<AuditHead>> {
        Ok(None)
    }
}

/// A vault with one credential, `shop`, that tells `log`.
async fn vault(log: Arc<dyn AuditLog>) -> Vault {
    let repo = MemoryCredentialRepo::new(Arc::new(ManualClock::default()));
    let secrets = Arc::new(MemorySecretsStore::default());
    let vault = Vault::new(Arc::new(repo), secrets, Arc::new(SeededEntropy::new(1)));
    let vault = vault.audited(log);
    let fields = BTreeMap::from([("token".to_owned(), "hunter2".into())]);
    let token = Credential::new(CredentialType::Bearer, fields, AllowedHosts::default()).unwrap();
    let put = vault.put(&tenant(), &shop(), None, &token).await;
    let _ = put.unwrap();
    vault
}

fn tenant() -> TenantId {
    TenantId::local()
}

fn shop() -> CredentialId {
    CredentialId::new("shop").unwrap()
}

fn attempt(node: &str) -> CredentialUser {
    CredentialUser::Attempt {
        execution: ExecutionId::from_bytes([7; 16]),
        node: node.to_owned(),
        attempt: 2,
    }
}

async fn told(log: &MemoryAuditLog) -> Vec<NewAudit> {
    let entries = log.entries(&tenant(), 0, 100).await.unwrap();
    entries.into_iter().map(|entry| entry.new).collect()
}

fn change(entry: &NewAudit) -> Value {
    serde_json::from_str(&entry.change).unwrap()
}

/// Guards: a use is told with whose it was and which version; what people try and change is told by their
/// routes, and not twice.
#[test]
fn a_use_by_an_attempt_or_a_refresh_is_told() {
    run(async {
        let log = Arc::new(MemoryAuditLog::new(Arc::new(ManualClock::default())));
        let vault = vault(log.clone()).await;
        for user in [CredentialUser::Test, CredentialUser::Change] {
            let _ = vault.open(&tenant(), &shop(), &user).await.unwrap();
        }
        assert_eq!(told(&log).await, []);
        for user in [attempt("charge"), CredentialUser::Refresh] {
            let _ = vault.open(&tenant(), &shop(), &user).await.unwrap();
        }
        let told = told(&log).await;
        assert_eq!(told.len(), 2);
        for entry in &told {
            assert_eq!(
                (&*entry.what, &*entry.target, entry.outcome),
                ("credentials.use", "credential:shop", AuditOutcome::Allowed)
            );
            assert!(!entry.change.contains("hunter2"));
        }
        let execution = ExecutionId::from_bytes([7; 16]);
        assert_eq!(told[0].who, format!("execution:{execution}"));
        let expected = json!({ "version": 1, "node": "charge", "attempt": 2 });
        assert_eq!(change(&told[0]), expected);
        assert_eq!(told[1].who, "engine");
        assert_eq!(change(&told[1]), json!({ "version": 1 }));
    });
}

/// Guard: a value whose use cannot be told is not given out.
#[test]
fn what_cannot_be_told_is_not_given_out() {
    run(async {
        let vault = vault(Arc::new(Broken)).await;
        for user in [attempt("charge"), CredentialUser::Refresh] {
            match vault.open(&tenant(), &shop(), &user).await {
                Err(VaultError::Port(error)) => assert_eq!(error.kind, ErrorKind::Full),
                other => panic!("{other:?}"),
            }
        }
        // Their routes have told of these before.
        let user = CredentialUser::Test;
        assert!(vault.open(&tenant(), &shop(), &user).await.is_ok());
    });
}

/// Guards: what an attempt is refused is told as refused, with what it wanted and why, in as many bytes as an
/// entry takes and in whole characters.
#[test]
fn what_an_attempt_is_refused_is_told() {
    run(async {
        let log = Arc::new(MemoryAuditLog::new(Arc::new(ManualClock::default())));
        let vault = vault(log.clone()).await;
        let (user, long) = (attempt("charge"), "ä".repeat(MAX_AUDIT_TEXT));
        let denied = vault.denied(&tenant(), &shop(), &user, "no grant").await;
        denied.unwrap();
        for (capability, why) in [("net:a.example", "no"), ("", "no"), (&*long, &*long)] {
            let refused = vault.refused(&tenant(), &user, capability, why).await;
            refused.unwrap();
        }
        let told = told(&log).await;
        let shown = |entry: &NewAudit| (entry.what.clone(), entry.target.clone());
        let first: Vec<_> = told.iter().take(3).map(shown).collect();
        let expected = [
            ("credentials.use", "credential:shop"),
            ("capabilities.use", "capability:net:a.example"),
            ("capabilities.use", ""),
        ];
        assert_eq!(first, expected.map(|(a, b)| (a.to_owned(), b.to_owned())));
        assert!(told.iter().all(|it| it.outcome == AuditOutcome::Denied));
        let expected = json!({ "why": "no grant", "node": "charge", "attempt": 2 });
        assert_eq!(change(&told[0]), expected);
        assert_eq!(told.len(), 4);
        for text in [&*told[3].target, change(&told[3])["why"].as_str().unwrap()] {
            assert!((MAX_AUDIT_TEXT - 1..=MAX_AUDIT_TEXT).contains(&text.len()));
            assert!(text.ends_with('ä'));
        }
    });
}
