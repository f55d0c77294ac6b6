//! What the rules begin with: people, service accounts, projects, keys.

use std::sync::Arc;

use nebula_core::{Digest, PrincipalId, ProjectId, TenantId};
use nebula_ports::{
    ApiKeyRecord, IdentityRepo, KeyAdded, MembershipChanged, PasswordHash, PrincipalKey,
    PrincipalKind, PrincipalRecord, ProjectRecord, RecordPut, Role, Standing,
};
use uuid::Uuid;

pub(super) type Repo = Arc<dyn IdentityRepo>;

pub(super) fn tenant() -> TenantId {
    TenantId::local()
}

pub(super) fn other_tenant() -> TenantId {
    TenantId::new("other").unwrap()
}

pub(super) fn id(number: u128) -> PrincipalId {
    Uuid::from_u128(number).into()
}

pub(super) fn project(name: &str) -> ProjectId {
    ProjectId::new(name).unwrap()
}

/// A person whose login is `user<number>`.
pub(super) fn person(number: u128, version: u32) -> PrincipalRecord {
    PrincipalRecord {
        id: id(number),
        version,
        kind: PrincipalKind::Person,
        login: format!("user{number}"),
        name: format!("User {number}"),
        password: Some(PasswordHash::new(format!("hash {version}"))),
        subject: None,
        disabled: false,
    }
}

pub(super) fn service(number: u128) -> PrincipalRecord {
    PrincipalRecord {
        kind: PrincipalKind::Service,
        password: None,
        ..person(number, 1)
    }
}

pub(super) async fn put(repo: &Repo, new: PrincipalRecord) -> RecordPut {
    repo.put_principal(&tenant(), new).await.unwrap()
}

/// Puts the first version of each.
pub(super) async fn with_people(repo: &Repo, numbers: impl IntoIterator<Item = u128>) {
    for number in numbers {
        assert_eq!(put(repo, person(number, 1)).await, RecordPut::Stored);
    }
}

pub(super) async fn standing(repo: &Repo, number: u128) -> Option<Standing> {
    let key = PrincipalKey::Id(id(number));
    repo.standing(&tenant(), key).await.unwrap()
}

pub(super) async fn record(repo: &Repo, number: u128) -> Option<PrincipalRecord> {
    standing(repo, number).await.map(|it| it.principal)
}

pub(super) fn shop(name: &str, version: u32) -> ProjectRecord {
    ProjectRecord {
        id: project(name),
        version,
        name: format!("Project {name}"),
    }
}

pub(super) async fn with_projects<'a>(repo: &Repo, names: impl IntoIterator<Item = &'a str>) {
    for name in names {
        let put = repo.put_project(&tenant(), shop(name, 1)).await.unwrap();
        assert_eq!(put, RecordPut::Stored);
    }
}

/// The ids of all projects of a tenant.
pub(super) async fn projects(repo: &Repo, tenant: &TenantId) -> Vec<String> {
    let listed = repo.projects(tenant, None, 10_000).await.unwrap();
    listed.iter().map(|it| it.id.to_string()).collect()
}

/// Changes what somebody is; an empty name of a project is all of them.
pub(super) async fn change(
    repo: &Repo,
    number: u128,
    name: &str,
    from: Option<Role>,
    to: Option<Role>,
) -> MembershipChanged {
    let project = (!name.is_empty()).then(|| project(name));
    let tenant = tenant();
    let changed = repo.change_membership(&tenant, id(number), project.as_ref(), from, to);
    changed.await.unwrap()
}

/// Gives a role that was not there.
pub(super) async fn give(repo: &Repo, number: u128, name: &str, role: Role) {
    let changed = change(repo, number, name, None, Some(role)).await;
    assert_eq!(changed, MembershipChanged::Changed);
}

/// The memberships of somebody, as `project role`.
pub(super) async fn roles(repo: &Repo, number: u128) -> Vec<String> {
    let standing = standing(repo, number).await.unwrap();
    let shown = standing.memberships.iter().map(|it| {
        let project = it.project.as_ref().map_or("*", ProjectId::as_str);
        format!("{project} {}", it.role)
    });
    shown.collect()
}

/// A key of somebody.
pub(super) fn key(prefix: &str, number: u128) -> ApiKeyRecord {
    ApiKeyRecord {
        prefix: prefix.to_owned(),
        principal: id(number),
        name: format!("key {prefix}"),
        hash: Digest::of(prefix.as_bytes()),
        project: None,
        scopes: Some(vec!["workflows:read".to_owned()]),
        expires_at: None,
    }
}

pub(super) async fn add(repo: &Repo, new: ApiKeyRecord) -> KeyAdded {
    repo.add_key(&tenant(), new).await.unwrap()
}

pub(super) async fn has_key(repo: &Repo, prefix: &str) -> bool {
    repo.key(&tenant(), prefix).await.unwrap().is_some()
}
