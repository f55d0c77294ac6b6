//! What was refused, told to the audit log: not more often than so many times a minute.

use std::{sync::Arc, time::Duration};

use nebula_access::{Access, AccessPorts, MAX_DENIALS};
use nebula_core::{CredentialId, ExecutionId, TenantId};
use nebula_ports::{AuditLog, CredentialUser};
use nebula_testkit::{
    ManualClock, MemoryAuditLog, MemoryCredentialRepo, MemorySecretsStore, SeededEntropy, run,
};
use nebula_vault::Vault;

/// Guards: whoever is refused again and again fills no disk, whatever it is that is refused; after a minute
/// it is told again.
#[test]
fn so_many_refusals_are_told_in_a_minute_and_no_more() {
    run(async {
        let clock = ManualClock::default();
        let log = Arc::new(MemoryAuditLog::new(Arc::new(clock.clone())));
        let entropy = Arc::new(SeededEntropy::new(1));
        let repo = Arc::new(MemoryCredentialRepo::new(Arc::new(clock.clone())));
        let secrets = Arc::new(MemorySecretsStore::default());
        let vault = Vault::new(repo, secrets, entropy.clone()).audited(log.clone());
        let access = Access::new(AccessPorts {
            vault: Arc::new(vault),
            http: None,
            clock: Arc::new(clock.clone()),
            entropy,
        });
        let (tenant, id) = (TenantId::local(), CredentialId::new("shop").unwrap());
        let user = CredentialUser::Attempt {
            execution: ExecutionId::from_bytes([7; 16]),
            node: "charge".to_owned(),
            attempt: 1,
        };
        let told = async || {
            let head = log.head(&tenant).await.unwrap();
            head.map_or(0, |head| head.seq)
        };
        let refuse = async |times: u32| {
            for _ in 0..times {
                access.denied(&tenant, &id, &user, "no grant").await;
                access.refused(&tenant, &user, "net:a.example", "no").await;
            }
        };
        let most = u64::from(MAX_DENIALS);
        refuse(MAX_DENIALS / 2 - 1).await;
        assert_eq!(told().await, most - 2, "each of them");
        refuse(MAX_DENIALS).await;
        assert_eq!(told().await, most, "both kinds together");
        clock.advance(Duration::from_secs(59));
        refuse(1).await;
        assert_eq!(told().await, most);
        clock.advance(Duration::from_secs(1));
        refuse(MAX_DENIALS).await;
        assert_eq!(told().await, 2 * most);
    });
}
