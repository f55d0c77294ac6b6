//! The rules of [`TenantRepo`]: what every store of tenants must prove.
//!
//! A driver's test is `nebula_testkit::tenant_repo!(|clock| async move { … })`, where the expression
//! makes an empty store, as `Arc<dyn TenantRepo>`.

use std::{future::Future, sync::Arc};

use futures_util::future::join_all;
use nebula_core::{ByteSize, TenantId};
use nebula_ports::{ErrorKind, MAX_TENANTS, Quotas, Tenant, TenantPut, TenantRepo, Weight};

use crate::{ManualClock, suite::rule_table};

/// Makes one test for each rule of [`TenantRepo`] on what the expression makes.
#[macro_export]
macro_rules! tenant_repo {
    ($make:expr) => {
        $crate::tenant_repo_rules! { $crate::rule_tests, (tenant_repo, $make) }
    };
}

/// Hands the list of rules to another macro.
#[doc(hidden)]
#[macro_export]
macro_rules! tenant_repo_rules {
    ($then:path, $args:tt) => {
        $then! {
            $args
            a_tenant_is_read_as_it_was_put,
            an_unknown_tenant_is_none,
            the_next_version_of_a_tenant_takes_the_place_of_the_last,
            a_version_of_a_tenant_that_is_not_the_next_changes_nothing,
            a_put_of_a_tenant_that_is_repeated_is_the_same,
            of_puts_of_a_tenant_at_once_one_wins,
            a_tenant_that_may_not_be_is_refused,
            pages_of_tenants_join,
        }
    };
}

tenant_repo_rules! { rule_table, (dyn TenantRepo) }

type Repo = Arc<dyn TenantRepo>;
type Time = Arc<ManualClock>;

fn id(text: &str) -> TenantId {
    TenantId::new(text).expect("it is an id")
}

fn tenant(text: &str) -> Tenant {
    Tenant {
        id: id(text),
        version: 1,
        name: format!("the tenant {text}"),
        disabled: false,
        quotas: Quotas::default(),
        weight: Weight::default(),
    }
}

async fn put(repo: &Repo, new: &Tenant) -> TenantPut {
    repo.put_tenant(new.clone()).await.unwrap()
}

/// Guard: `TenantGuard::Keeps`.
pub async fn a_tenant_is_read_as_it_was_put(repo: &Repo, _: &Time) {
    let bounded = Tenant {
        disabled: true,
        quotas: Quotas {
            executions: Some(1),
            bytes: Some(ByteSize::kib(3)),
            starts_per_second: Some(4),
        },
        weight: Weight::new(5).expect("it can be"),
        ..tenant("acme")
    };
    assert_eq!(put(repo, &bounded).await, TenantPut::Stored);
    assert_eq!(repo.tenant(&id("acme")).await.unwrap(), Some(bounded));
    let unbounded = tenant("Beta_2");
    assert_eq!(put(repo, &unbounded).await, TenantPut::Stored);
    assert_eq!(repo.tenant(&id("Beta_2")).await.unwrap(), Some(unbounded));
}

/// Guard: `TenantGuard::Exact`.
pub async fn an_unknown_tenant_is_none(repo: &Repo, _: &Time) {
    let _ = put(repo, &tenant("acme")).await;
    assert_eq!(repo.tenant(&id("acm")).await.unwrap(), None);
    assert_eq!(repo.tenant(&id("ACME")).await.unwrap(), None);
}

/// Guard: `TenantGuard::Replaces`.
pub async fn the_next_version_of_a_tenant_takes_the_place_of_the_last(repo: &Repo, _: &Time) {
    let _ = put(repo, &tenant("acme")).await;
    let next = Tenant {
        version: 2,
        disabled: true,
        ..tenant("acme")
    };
    assert_eq!(put(repo, &next).await, TenantPut::Stored);
    assert_eq!(repo.tenant(&id("acme")).await.unwrap(), Some(next));
}

/// Guard: `TenantGuard::Version`.
pub async fn a_version_of_a_tenant_that_is_not_the_next_changes_nothing(repo: &Repo, _: &Time) {
    let of = |version, name: &str| Tenant {
        version,
        name: name.to_owned(),
        ..tenant("acme")
    };
    let early = put(repo, &of(2, "early")).await;
    assert_eq!(early, TenantPut::Conflict { version: 0 });
    let _ = put(repo, &of(1, "first")).await;
    for (version, name) in [(1, "other"), (3, "late")] {
        let conflict = put(repo, &of(version, name)).await;
        assert_eq!(conflict, TenantPut::Conflict { version: 1 });
    }
    let there = repo.tenant(&id("acme")).await.unwrap();
    assert_eq!(there, Some(of(1, "first")));
}

/// Guard: `TenantGuard::Repeated`.
pub async fn a_put_of_a_tenant_that_is_repeated_is_the_same(repo: &Repo, _: &Time) {
    let first = tenant("acme");
    assert_eq!(put(repo, &first).await, TenantPut::Stored);
    assert_eq!(put(repo, &first).await, TenantPut::Same);
}

/// Guard: `TenantGuard::AtOnce`.
pub async fn of_puts_of_a_tenant_at_once_one_wins(repo: &Repo, _: &Time) {
    let named = |n: i32| Tenant {
        name: format!("name {n}"),
        ..tenant("acme")
    };
    let all = (0..8).map(|n| async move { put(repo, &named(n)).await });
    let stored = join_all(all).await;
    let won = stored.iter().filter(|it| **it == TenantPut::Stored);
    assert_eq!(won.count(), 1, "{stored:?}");
}

/// Guard: `TenantGuard::Possible`.
pub async fn a_tenant_that_may_not_be_is_refused(repo: &Repo, _: &Time) {
    let nameless = Tenant {
        name: String::new(),
        ..tenant("acme")
    };
    let nothing = Tenant {
        quotas: Quotas {
            executions: Some(0),
            ..Quotas::default()
        },
        ..tenant("acme")
    };
    for wrong in [nameless, nothing] {
        let refused = repo.put_tenant(wrong).await.unwrap_err();
        assert_eq!(refused.kind, ErrorKind::Invalid);
    }
    assert_eq!(repo.tenant(&id("acme")).await.unwrap(), None);
}

/// In the order of their bytes. Guard: `TenantGuard::Pages`.
pub async fn pages_of_tenants_join(repo: &Repo, _: &Time) {
    const { assert!(MAX_TENANTS >= 5) };
    for text in ["b", "a-1", "B", "a", "a_1"] {
        let _ = put(repo, &tenant(text)).await;
    }
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = repo.tenants(after.as_ref(), 2).await.unwrap();
        assert!(page.len() <= 2);
        let Some(last) = page.last() else { break };
        after = Some(last.id.clone());
        all.extend(page.into_iter().map(|it| it.id.to_string()));
        assert!(all.len() <= 5, "{all:?}");
    }
    assert_eq!(all, ["B", "a", "a-1", "a_1", "b"]);
}
