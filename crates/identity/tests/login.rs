//! Who is let in, and for how long.

mod support;

use std::{sync::Arc, time::Duration};

use nebula_core::{ExposeSecret as _, TenantId};
use nebula_identity::{
    Evidence, FirstRun, Identity, IdentityConfig, IdentityError, LocalToken, NotAuthenticated,
    PasswordCost, Permission, TICKET, Via, Who,
};
use nebula_ports::{PrincipalKey, PrincipalKind, SessionKind};
use nebula_testkit::{SeededEntropy, run};
use support::*;

#[test]
fn the_first_person_owns_the_tenant_and_the_token_is_spent() {
    run(async {
        let world = World::new();
        let identity = &world.identity;
        let FirstRun::Waits(old) = identity.first_run(&tenant()).await.unwrap() else {
            panic!("nobody is there")
        };
        // A further start makes another token, and the one before opens nothing any more.
        let FirstRun::Waits(token) = identity.first_run(&tenant()).await.unwrap() else {
            panic!("nobody is there")
        };
        let first = |text: &str| {
            let text = text.to_owned();
            async move {
                identity
                    .first_admin(&text, ada(SessionKind::Program), HERE)
                    .await
            }
        };
        assert!(refused(&first(old.expose_secret()).await));
        // A password that is too short does not spend it.
        let mut short = ada(SessionKind::Program);
        short.password = "short".into();
        let answer = identity
            .first_admin(token.expose_secret(), short, HERE)
            .await;
        assert!(matches!(answer, Ok(Err(IdentityError::Invalid(_)))));
        let let_in = first(token.expose_secret()).await.unwrap().unwrap();
        assert!(let_in.principal.is_allowed(Permission::SettingsWrite, None));
        assert!(refused(&first(token.expose_secret()).await));
        let over = identity.first_run(&tenant()).await.unwrap();
        assert!(matches!(over, FirstRun::Over));
        assert!(
            world
                .login("ada", PASSWORD, SessionKind::Browser)
                .await
                .is_ok()
        );
    });
}

#[test]
fn of_two_who_have_the_first_token_one_becomes_the_owner() {
    run(async {
        let world = World::new();
        let identity = &world.identity;
        let FirstRun::Waits(token) = identity.first_run(&tenant()).await.unwrap() else {
            panic!("nobody is there")
        };
        let mut other = ada(SessionKind::Program);
        other.login = "eve".to_owned();
        let both = futures(
            identity.first_admin(token.expose_secret(), ada(SessionKind::Program), HERE),
            identity.first_admin(token.expose_secret(), other, HERE),
        );
        let (first, second) = both.await;
        assert_ne!(refused(&first), refused(&second));
    });
}

async fn futures<A: Future, B: Future>(a: A, b: B) -> (A::Output, B::Output) {
    let (mut a, mut b) = (std::pin::pin!(a), std::pin::pin!(b));
    let (mut left, mut right) = (None, None);
    std::future::poll_fn(move |context| {
        use std::task::Poll;
        if left.is_none()
            && let Poll::Ready(done) = a.as_mut().poll(context)
        {
            left = Some(done);
        }
        if right.is_none()
            && let Poll::Ready(done) = b.as_mut().poll(context)
        {
            right = Some(done);
        }
        match (left.take(), right.take()) {
            (Some(a), Some(b)) => Poll::Ready((a, b)),
            (a, b) => {
                (left, right) = (a, b);
                Poll::Pending
            }
        }
    })
    .await
}

#[test]
fn nobody_learns_whether_there_is_such_a_login() {
    run(async {
        let world = World::new();
        world.add(PrincipalKind::Person, "ada", "* viewer").await;
        world.add(PrincipalKind::Service, "robot", "* viewer").await;
        let off = world.add(PrincipalKind::Person, "off", "* viewer").await;
        let local = world.local();
        let identity = &world.identity;
        identity
            .set_disabled(&local, off, true, HERE)
            .await
            .unwrap();
        let mut shown = Vec::new();
        for (login, password) in [
            ("ada", "wrong horse"),
            ("nobody", PASSWORD),
            ("robot", PASSWORD),
            ("off", PASSWORD),
            ("", PASSWORD),
            ("ada", ""),
        ] {
            let answer = world.login(login, password, SessionKind::Browser).await;
            shown.push(format!("{:?}", answer.unwrap_err()));
        }
        assert!(shown.iter().all(|it| it == "Refused"), "{shown:?}");
        // Nor does the log have what was typed.
        let recorded = world.recorded().await.join("\n");
        assert!(recorded.contains("anonymous sessions.open unknown denied"));
        for typed in ["nobody", PASSWORD, "wrong horse"] {
            assert!(!recorded.contains(typed), "{recorded}");
        }
        assert!(
            world
                .login(" ADA ", PASSWORD, SessionKind::Browser)
                .await
                .is_ok()
        );
    });
}

#[test]
fn whoever_guesses_waits_longer_and_longer_whether_the_login_exists_or_not() {
    run(async {
        let world = World::new();
        world.add(PrincipalKind::Person, "ada", "* viewer").await;
        for login in ["ada", "nobody"] {
            for _ in 0..5 {
                let answer = world
                    .login(login, "wrong horse", SessionKind::Browser)
                    .await;
                assert!(refused(&answer));
            }
            let mut waits = Vec::new();
            for _ in 0..4 {
                let answer = world.login(login, PASSWORD, SessionKind::Browser).await;
                let Err(NotAuthenticated::Wait { until }) = answer else {
                    panic!("{answer:?}")
                };
                let wait = until.since(nebula_core::Clock::now(&*world.clock));
                waits.push(wait.as_secs());
                world.clock.advance(wait);
                let answer = world
                    .login(login, "wrong horse", SessionKind::Browser)
                    .await;
                assert!(refused(&answer), "{answer:?}");
            }
            assert_eq!(waits, [1, 2, 4, 8]);
        }
        world.clock.advance(Duration::from_secs(16));
        assert!(
            world
                .login("ada", PASSWORD, SessionKind::Browser)
                .await
                .is_ok()
        );
        // Whoever got in begins anew.
        assert!(refused(
            &world
                .login("ada", "wrong horse", SessionKind::Browser)
                .await
        ));
        assert!(
            world
                .login("ada", PASSWORD, SessionKind::Browser)
                .await
                .is_ok()
        );
    });
}

#[test]
fn a_browser_shows_its_cookie_and_its_csrf_token() {
    run(async {
        let world = World::new();
        world.add(PrincipalKind::Person, "ada", "* viewer").await;
        let first = world
            .login("ada", PASSWORD, SessionKind::Browser)
            .await
            .unwrap();
        let second = world
            .login("ada", PASSWORD, SessionKind::Browser)
            .await
            .unwrap();
        let (cookie, csrf) = browser(first.issued);
        let (_, other) = browser(second.issued);
        let cookie = cookie.expose_secret();
        let show = |csrf: Option<String>, mutating| {
            let identity = &world.identity;
            async move {
                let csrf = csrf.as_deref();
                let shown = Evidence::Session {
                    cookie,
                    csrf,
                    mutating,
                };
                identity.authenticate(shown, HERE).await
            }
        };
        let right = || Some(csrf.expose_secret().to_owned());
        assert!(show(None, false).await.is_ok());
        assert!(show(right(), true).await.is_ok());
        let wrong = [
            None,
            Some(String::new()),
            Some(other.expose_secret().to_owned()),
        ];
        for csrf in wrong {
            let answer = show(csrf, true).await;
            assert!(matches!(answer, Err(NotAuthenticated::Csrf)), "{answer:?}");
        }
        // A cookie is no bearer, and what is no cookie is nobody's.
        let bearer = world.identity.authenticate(Evidence::Bearer(cookie), HERE);
        assert!(refused(&bearer.await));
        assert_eq!(
            world.identity.csrf_of(cookie).expose_secret(),
            csrf.expose_secret()
        );
        let principal = show(None, false).await.unwrap();
        world.identity.logout(&principal, HERE).await.unwrap();
        assert!(refused(&show(right(), true).await));
    });
}

#[test]
fn a_session_ends_idle_or_at_its_time() {
    run(async {
        let world = World::new();
        world.add(PrincipalKind::Person, "ada", "* viewer").await;
        let hour = Duration::from_hours(1);
        let let_in = async || {
            let let_in = world.login("ada", PASSWORD, SessionKind::Browser).await;
            browser(let_in.unwrap().issued).0
        };
        let show = async |cookie: &nebula_core::SecretString| {
            let shown = Evidence::Session {
                cookie: cookie.expose_secret(),
                csrf: None,
                mutating: false,
            };
            world.identity.authenticate(shown, HERE).await
        };
        let idle = let_in().await;
        world.clock.advance(12 * hour);
        assert!(refused(&show(&idle).await));
        let used = let_in().await;
        for _ in 0..15 {
            world.clock.advance(11 * hour);
            assert!(show(&used).await.is_ok());
        }
        world.clock.advance(3 * hour);
        assert!(refused(&show(&used).await));
    });
}

#[test]
fn what_was_signed_is_over_with_its_time_and_its_session() {
    run(async {
        let world = World::new();
        let person = world.person("ada", "* viewer").await;
        let let_in = world
            .login("ada", PASSWORD, SessionKind::Program)
            .await
            .unwrap();
        let (access, _) = program(let_in.issued);
        let who = world.bearer(&access).await.unwrap();
        assert_eq!((who.who(), who.name()), (person.who(), "ada"));
        world.clock.advance(11 * MINUTE);
        assert!(refused(&world.bearer(&access).await));
        // Of another one: as soon as its session is closed, its owner disabled, or a role taken.
        let let_in = world
            .login("ada", PASSWORD, SessionKind::Program)
            .await
            .unwrap();
        let (principal, (access, _)) = (let_in.principal, program(let_in.issued));
        assert!(world.bearer(&access).await.is_ok());
        let (local, id) = (world.local(), principal.id().unwrap());
        let (viewer, editor) = (
            Some(nebula_ports::Role::Viewer),
            Some(nebula_ports::Role::Editor),
        );
        let change = world
            .identity
            .change_membership(&local, id, None, (viewer, editor), HERE);
        change.await.unwrap();
        let now = world.bearer(&access).await.unwrap();
        assert!(now.is_allowed(Permission::WorkflowsWrite, None));
        assert!(!principal.is_allowed(Permission::WorkflowsWrite, None));
        let again = world.identity.check_again(&principal).await.unwrap();
        assert!(again.is_allowed(Permission::WorkflowsWrite, None));
        world.identity.logout(&principal, HERE).await.unwrap();
        assert!(refused(&world.bearer(&access).await));
        assert!(refused(&world.identity.check_again(&principal).await));
    });
}

#[test]
fn a_token_of_another_installation_opens_nothing() {
    run(async {
        let (world, other) = (World::new(), World::new());
        for world in [&world, &other] {
            world.add(PrincipalKind::Person, "ada", "* viewer").await;
        }
        // Another chance, or both would make the same key.
        let ports = nebula_identity::IdentityPorts {
            entropy: Arc::new(SeededEntropy::new(9)),
            ..other.ports.clone()
        };
        let elsewhere = Identity::new(ports, config());
        let login = nebula_identity::Login {
            login: "ada".to_owned(),
            password: PASSWORD.into(),
            kind: SessionKind::Program,
            agent: String::new(),
        };
        let theirs = elsewhere.login(&tenant(), login, HERE).await.unwrap();
        let (access, refresh) = program(theirs.issued);
        let mine = world
            .login("ada", PASSWORD, SessionKind::Program)
            .await
            .unwrap();
        assert!(world.bearer(&program(mine.issued).0).await.is_ok());
        assert!(refused(&world.bearer(&access).await));
        let answer = world.identity.refresh(refresh.expose_secret(), HERE).await;
        assert!(refused(&answer));
        // Another process of the other installation reads the key that is stored.
        let second = Identity::new(other.ports.clone(), config());
        let shown = Evidence::Bearer(access.expose_secret());
        assert!(second.authenticate(shown, HERE).await.is_ok());
    });
}

#[test]
fn a_refresh_token_that_comes_twice_closes_its_session() {
    run(async {
        let world = World::new();
        let let_in = {
            world.add(PrincipalKind::Person, "ada", "* viewer").await;
            world
                .login("ada", PASSWORD, SessionKind::Program)
                .await
                .unwrap()
        };
        let (_, first) = program(let_in.issued);
        let refreshed = world.identity.refresh(first.expose_secret(), HERE).await;
        let (access, second) = program(refreshed.unwrap().issued);
        assert!(world.bearer(&access).await.is_ok());
        let stolen = world.identity.refresh(first.expose_secret(), HERE).await;
        assert!(refused(&stolen));
        assert!(refused(&world.bearer(&access).await));
        let honest = world.identity.refresh(second.expose_secret(), HERE).await;
        assert!(refused(&honest));
        let recorded = world.recorded().await;
        let last = recorded.last().unwrap();
        assert!(
            last.starts_with("anonymous sessions.refresh session:") && last.ends_with("denied")
        );
        for wrong in ["", "nbr_local_x", access.expose_secret()] {
            assert!(refused(&world.identity.refresh(wrong, HERE).await));
        }
    });
}

#[test]
fn a_ticket_is_used_once_and_stands_for_its_session() {
    run(async {
        let world = World::new();
        let person = world.person("ada", "* viewer").await;
        let ticket = async || world.identity.ticket(&person).await.unwrap();
        let show = async |text: &nebula_core::SecretString| {
            let shown = Evidence::Ticket(text.expose_secret());
            world.identity.authenticate(shown, HERE).await
        };
        let first = ticket().await;
        let who = show(&first).await.unwrap();
        assert_eq!((who.who(), who.via()), (person.who(), person.via()));
        assert!(refused(&show(&first).await));
        let late = ticket().await;
        world.clock.advance(TICKET);
        assert!(refused(&show(&late).await));
        let over = ticket().await;
        // It is no bearer, and the session may have ended meanwhile.
        assert!(refused(&world.bearer(&over).await));
        world.identity.logout(&person, HERE).await.unwrap();
        assert!(refused(&show(&over).await));
    });
}

#[test]
fn the_token_of_this_machine_owns_its_tenant() {
    run(async {
        let world = World::new();
        let token = LocalToken::random(&SeededEntropy::new(7));
        let other = LocalToken::random(&SeededEntropy::new(8));
        let identity =
            Identity::new(world.ports.clone(), config()).with_local_token(tenant(), token.hash);
        let show = async |text: &str| identity.authenticate(Evidence::Bearer(text), HERE).await;
        let who = show(token.text.expose_secret()).await.unwrap();
        assert_eq!((who.who(), who.via()), (Who::Local, &Via::Local));
        assert!(who.is_allowed(Permission::SettingsWrite, None));
        assert!(refused(&show(other.text.expose_secret()).await));
        let read = LocalToken::read(&token.text).unwrap();
        assert_eq!(read.hash, token.hash);
        assert!(refused(&world.bearer(&token.text).await));
        let ticket = identity.ticket(&who).await.unwrap();
        let shown = Evidence::Ticket(ticket.expose_secret());
        assert_eq!(
            identity.authenticate(shown, HERE).await.unwrap().who(),
            Who::Local
        );
    });
}

#[test]
fn a_password_that_was_hashed_cheaper_is_hashed_anew() {
    run(async {
        let world = World::new();
        world.add(PrincipalKind::Person, "ada", "* viewer").await;
        let dearer = IdentityConfig {
            password_cost: PasswordCost {
                memory_kib: 16,
                passes: 1,
            },
            ..config()
        };
        let identity = Identity::new(world.ports.clone(), dearer);
        for _ in 0..2 {
            let login = nebula_identity::Login {
                login: "ada".to_owned(),
                password: PASSWORD.into(),
                kind: SessionKind::Browser,
                agent: String::new(),
            };
            identity.login(&tenant(), login, HERE).await.unwrap();
            let key = PrincipalKey::Login("ada");
            let found = world
                .ports
                .identities
                .standing(&tenant(), key)
                .await
                .unwrap()
                .unwrap();
            let hash = found.principal.password.unwrap();
            assert!(hash.as_str().contains("$m=16,t=1,p=1$"));
            assert_eq!(found.principal.version, 2);
        }
    });
}

#[test]
fn a_login_of_another_tenant_is_nobody() {
    run(async {
        let world = World::new();
        world.add(PrincipalKind::Person, "ada", "* owner").await;
        let login = nebula_identity::Login {
            login: "ada".to_owned(),
            password: PASSWORD.into(),
            kind: SessionKind::Program,
            agent: String::new(),
        };
        let other = TenantId::new("other").unwrap();
        assert!(refused(&world.identity.login(&other, login, HERE).await));
    });
}
