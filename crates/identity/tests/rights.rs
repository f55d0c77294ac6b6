//! Who may change whom, and what is recorded of it.

mod support;

use std::time::Duration;

use nebula_core::ExposeSecret as _;
use nebula_identity::{
    Decision, IdentityError, MadeKey, NewKey, NewPrincipal, Permission, Principal, Via, What, Why,
};
use nebula_ports::{AuditOutcome, PrincipalKind, Role, SessionKind};
use nebula_testkit::run;
use serde_json::json;
use support::*;

const DAY: Duration = Duration::from_hours(24);

fn key(principal: nebula_core::PrincipalId) -> NewKey {
    NewKey {
        principal,
        name: "for a program".to_owned(),
        project: None,
        permissions: None,
        lasts: DAY,
    }
}

async fn make(world: &World, by: &Principal, new: NewKey) -> Result<MadeKey, IdentityError> {
    world.identity.make_key(by, new, HERE).await
}

fn denied<T>(result: &Result<T, IdentityError>) -> bool {
    matches!(result, Err(IdentityError::Denied { .. }))
}

#[test]
fn a_key_opens_what_it_was_made_for_until_it_is_over() {
    run(async {
        let world = World::new();
        let ada = world.person("ada", "* editor, shop admin").await;
        let id = ada.id().unwrap();
        let narrow = NewKey {
            project: Some(project("shop")),
            permissions: Some(vec![Permission::WorkflowsRead, Permission::SettingsWrite]),
            ..key(id)
        };
        let made = make(&world, &ada, narrow).await.unwrap();
        assert!(
            made.text
                .expose_secret()
                .starts_with(&format!("nbk_{}_", made.prefix))
        );
        let who = world.bearer(&made.text).await.unwrap();
        assert_eq!(
            (who.id(), who.via()),
            (Some(id), &Via::Key(made.prefix.clone()))
        );
        let shop = project("shop");
        for permission in Permission::ALL {
            let only = *permission == Permission::WorkflowsRead;
            assert_eq!(
                who.is_allowed(*permission, Some(&shop)),
                only,
                "{permission}"
            );
            assert!(!who.is_allowed(*permission, None), "{permission}");
        }
        let listed = world.identity.keys(&ada, id, HERE).await.unwrap();
        assert_eq!(
            listed[0].used_at,
            Some(nebula_core::Clock::now(&*world.clock))
        );
        assert!(!format!("{listed:?}").contains(made.text.expose_secret()));
        // Right prefix, wrong secret: refused and recorded. Made up: refused alone.
        let other = make(&world, &ada, key(id)).await.unwrap();
        let before = world.entries().await.len();
        world.clock.advance(DAY);
        assert!(refused(&world.bearer(&made.text).await));
        assert!(refused(&world.identity.check_again(&who).await));
        let recorded = world.recorded().await;
        assert_eq!(
            recorded[before..],
            [format!("anonymous keys.use key:{} denied", made.prefix)]
        );
        world
            .identity
            .remove_key(&ada, &other.prefix, HERE)
            .await
            .unwrap();
        let before = world.entries().await.len();
        assert!(refused(&world.bearer(&other.text).await));
        assert_eq!(world.entries().await.len(), before);
    });
}

#[test]
fn a_key_makes_no_keys_and_no_passwords() {
    run(async {
        let world = World::new();
        world.first(SessionKind::Program).await;
        let ada = world
            .login("ada", PASSWORD, SessionKind::Program)
            .await
            .unwrap()
            .principal;
        let bob = world.add(PrincipalKind::Person, "bob", "* viewer").await;
        let robot = world.add(PrincipalKind::Service, "robot", "* viewer").await;
        let made = make(&world, &ada, key(ada.id().unwrap())).await.unwrap();
        let with_key = world.bearer(&made.text).await.unwrap();
        assert!(with_key.is_allowed(Permission::UsersWrite, None));
        let own = make(&world, &with_key, key(ada.id().unwrap())).await;
        let theirs = make(&world, &with_key, key(robot)).await;
        assert!(denied(&own) && denied(&theirs));
        let identity = &world.identity;
        let set = identity
            .set_password(&with_key, bob, &"another horse".into(), HERE)
            .await;
        let own = identity
            .change_own_password(&with_key, &PASSWORD.into(), &"another horse".into(), HERE)
            .await;
        assert!(denied(&set) && denied(&own));
        // A person's keys are their own matter; a service account's are those of who manages it.
        assert!(matches!(
            make(&world, &ada, key(bob)).await,
            Err(IdentityError::Invalid(_))
        ));
        let made = make(&world, &ada, key(robot)).await.unwrap();
        assert_eq!(world.bearer(&made.text).await.unwrap().id(), Some(robot));
        for lasts in [Duration::ZERO, 367 * DAY] {
            let long = NewKey {
                lasts,
                ..key(robot)
            };
            assert!(matches!(
                make(&world, &ada, long).await,
                Err(IdentityError::Invalid(_))
            ));
        }
    });
}

#[test]
fn nobody_gives_or_takes_what_is_above_them() {
    run(async {
        let world = World::new();
        let owner = world.person("owner", "* owner").await;
        let admin = world.person("admin", "* admin").await;
        let other = world.add(PrincipalKind::Person, "other", "").await;
        let robot = world.add(PrincipalKind::Service, "robot", "* owner").await;
        let identity = &world.identity;
        let give = async |by: &Principal, of, change| {
            identity.change_membership(by, of, None, change, HERE).await
        };
        let (owns, administers) = (Some(Role::Owner), Some(Role::Admin));
        let own = admin.id().unwrap();
        assert!(denied(&give(&admin, other, (None, owns)).await));
        assert!(denied(&give(&admin, own, (administers, owns)).await));
        assert!(denied(
            &give(&admin, owner.id().unwrap(), (owns, None)).await
        ));
        assert!(denied(&make(&world, &admin, key(robot)).await));
        let of = owner.id().unwrap();
        let password = "another horse".into();
        assert!(denied(
            &identity.set_password(&admin, of, &password, HERE).await
        ));
        assert!(denied(&identity.set_disabled(&admin, of, true, HERE).await));
        assert!(denied(&identity.delete_principal(&admin, of, HERE).await));
        assert!(denied(
            &identity.close_sessions(&admin, of, None, HERE).await
        ));
        give(&admin, other, (None, administers)).await.unwrap();
        give(&owner, other, (administers, owns)).await.unwrap();
        // Who is not of the tenant's administration does none of it.
        let editor = world.person("editor", "* editor, shop owner").await;
        assert!(denied(&give(&editor, other, (owns, None)).await));
        assert!(denied(&identity.principals(&editor, None, 10, HERE).await));
        assert!(denied(&identity.audit_entries(&editor, 0, 10, HERE).await));
        // In one's own project one may, as far as one's role goes.
        let shop = project("shop");
        let change = (None, Some(Role::Editor));
        identity
            .change_membership(&editor, own, Some(&shop), change, HERE)
            .await
            .unwrap();
    });
}

#[test]
fn the_last_owner_stays() {
    run(async {
        let world = World::new();
        let owner = world.person("owner", "* owner").await;
        let of = owner.id().unwrap();
        let identity = &world.identity;
        let last = |answer| matches!(answer, Err(IdentityError::LastOwner));
        assert!(last(identity.set_disabled(&owner, of, true, HERE).await));
        assert!(last(identity.delete_principal(&owner, of, HERE).await));
        let change = (Some(Role::Owner), None);
        assert!(last(
            identity
                .change_membership(&owner, of, None, change, HERE)
                .await
        ));
    });
}

#[test]
fn whoever_is_shut_out_is_out_at_once() {
    run(async {
        let world = World::new();
        world.add(PrincipalKind::Person, "bob", "* viewer").await;
        let let_in = world
            .login("bob", PASSWORD, SessionKind::Program)
            .await
            .unwrap();
        let bob = let_in.principal;
        let (access, refresh) = program(let_in.issued);
        let made = make(&world, &bob, key(bob.id().unwrap())).await.unwrap();
        let (local, of) = (world.local(), bob.id().unwrap());
        let identity = &world.identity;
        identity.set_disabled(&local, of, true, HERE).await.unwrap();
        assert!(refused(&world.bearer(&access).await));
        assert!(refused(&world.bearer(&made.text).await));
        assert!(refused(
            &identity.refresh(refresh.expose_secret(), HERE).await
        ));
        identity
            .set_disabled(&local, of, false, HERE)
            .await
            .unwrap();
        // The key opens again; the sessions are gone for good.
        assert!(world.bearer(&made.text).await.is_ok());
        assert!(refused(&world.bearer(&access).await));
        identity.delete_principal(&local, of, HERE).await.unwrap();
        assert!(refused(&world.bearer(&made.text).await));
    });
}

#[test]
fn a_new_password_closes_the_other_sessions() {
    run(async {
        let world = World::new();
        let bob = world.person("bob", "* viewer").await;
        let other = world
            .login("bob", PASSWORD, SessionKind::Program)
            .await
            .unwrap();
        let (access, _) = program(other.issued);
        let identity = &world.identity;
        let change = async |old: &str, new: &str| {
            identity
                .change_own_password(&bob, &old.into(), &new.into(), HERE)
                .await
        };
        let wrong = change("wrong horse", "another horse").await;
        assert!(matches!(wrong, Err(IdentityError::WrongPassword)));
        let short = change(PASSWORD, "short").await;
        assert!(matches!(short, Err(IdentityError::Invalid(_))));
        assert!(world.bearer(&access).await.is_ok());
        change(PASSWORD, "another horse").await.unwrap();
        assert!(refused(&world.bearer(&access).await));
        assert!(identity.check_again(&bob).await.is_ok());
        assert!(refused(
            &world.login("bob", PASSWORD, SessionKind::Program).await
        ));
        assert!(
            world
                .login("bob", "another horse", SessionKind::Program)
                .await
                .is_ok()
        );
    });
}

#[test]
fn what_is_done_is_recorded_before_and_the_chain_holds() {
    run(async {
        let world = World::new();
        let ada = world.first(SessionKind::Program).await.principal;
        let identity = &world.identity;
        let head = identity
            .audit_verify(&ada, None, HERE)
            .await
            .unwrap()
            .unwrap();
        let bob = NewPrincipal {
            kind: PrincipalKind::Person,
            login: "bob".to_owned(),
            name: String::new(),
            password: Some(PASSWORD.into()),
        };
        let id = identity
            .add_principal(&ada, bob.clone(), HERE)
            .await
            .unwrap();
        let again = identity.add_principal(&ada, bob, HERE).await;
        assert!(matches!(again, Err(IdentityError::Taken(_))));
        let change = (None, Some(Role::Viewer));
        identity
            .change_membership(&ada, id, None, change, HERE)
            .await
            .unwrap();
        let bob = world
            .login("bob", PASSWORD, SessionKind::Program)
            .await
            .unwrap()
            .principal;
        assert!(denied(&identity.delete_principal(&bob, id, HERE).await));
        let published = What::allowed(
            "workflows.publish",
            "workflow:a",
            HERE,
            json!({ "version": 2 }),
        );
        identity.record(&ada, published).await.unwrap();
        let recorded = world.recorded().await;
        let who = ada.audit_name();
        let recorded: Vec<_> = recorded.iter().map(|it| it.replace(&who, "ada")).collect();
        let theirs = format!("person:{id}");
        let after = usize::try_from(head.seq).unwrap();
        assert_eq!(recorded[after], format!("ada users.add {theirs}"));
        // The second one was allowed, and did not come to be: an entry too many, never one too few.
        assert!(recorded[after + 1].starts_with("ada users.add person:"));
        assert_eq!(
            recorded[after + 2],
            format!("ada members.change principal:{id} in *")
        );
        assert!(recorded[after + 3].starts_with(&format!("{theirs} sessions.open session:")));
        assert_eq!(
            recorded[after + 4],
            format!("{theirs} users.delete principal:{id} denied")
        );
        assert_eq!(recorded[after + 5], "ada workflows.publish workflow:a");
        let entries = world.entries().await;
        let last = entries.last().unwrap();
        assert_eq!(
            (&*last.new.from, last.new.outcome),
            (HERE, AuditOutcome::Allowed)
        );
        assert_eq!(last.new.change, r#"{"version":2}"#);
        assert_eq!(last.new.via, ada.audit_via());
        assert!(!format!("{entries:?}").contains(PASSWORD));
        let verified = identity.audit_verify(&ada, Some(head), HERE).await.unwrap();
        assert_eq!(verified.unwrap().seq, last.seq);
        // A head that is not of this chain, and one that lies behind its end.
        let other = nebula_ports::AuditHead { seq: 1, ..head };
        assert!(
            identity
                .audit_verify(&ada, Some(other), HERE)
                .await
                .unwrap()
                .is_err()
        );
        let later = nebula_ports::AuditHead { seq: 99, ..head };
        assert!(
            identity
                .audit_verify(&ada, Some(later), HERE)
                .await
                .unwrap()
                .is_err()
        );
    });
}

#[test]
fn a_reason_says_what_is_missing() {
    run(async {
        let world = World::new();
        let bob = world.person("bob", "* viewer").await;
        let Decision::Denied { why } = bob.may(Permission::WorkflowsWrite, None) else {
            panic!("a viewer writes")
        };
        let expected =
            "the role viewer in the whole tenant does not have workflows:write; editor has";
        assert_eq!(why.to_string(), expected);
        assert!(matches!(
            why,
            Why::Role {
                role: Role::Viewer,
                ..
            }
        ));
    });
}

#[test]
fn the_secrets_of_identities_are_reserved() {
    run(async {
        let world = World::new();
        world.person("bob", "").await;
        let ids = world.ports.secrets.list(&tenant(), None, 10).await.unwrap();
        assert_eq!(ids.len(), 1);
        assert!(nebula_vault::is_reserved(&ids[0]));
    });
}
