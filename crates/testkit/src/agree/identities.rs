//! Agreement of stores of identities, and of stores of sessions.

use std::{future::Future, sync::Arc, time::Duration};

use nebula_core::{Clock, Digest, PrincipalId, ProjectId, TenantId};
use nebula_ports::{
    ApiKeyRecord, Closing, IdentityRepo, Lockout, NewOnce, NewSession, PrincipalKey, PrincipalKind,
    PrincipalRecord, ProjectRecord, Role, SessionKey, SessionKind, SessionRepo,
};
use uuid::Uuid;

use super::log::Log;
use crate::{ManualClock, MemoryIdentityRepo, MemorySessionRepo, SeededEntropy, run};

/// Does `operations` random things to the store of identities that `make` makes and to the model.
///
/// `make` is the expression of `identity_repo!`. Times are compared, too.
///
/// # Panics
/// When an answer differs: with the seed and the operations.
pub fn identity_repos<M: Future<Output = Arc<dyn IdentityRepo>>>(
    seed: u64,
    operations: usize,
    make: impl FnOnce(Arc<ManualClock>) -> M,
) {
    let clock = Arc::new(ManualClock::default());
    let model = MemoryIdentityRepo::new(Arc::clone(&clock) as _);
    run(async {
        let driver = make(Arc::clone(&clock)).await;
        let mut run = Run::new(seed, clock, model, driver);
        for _ in 0..operations {
            run.identity().await;
        }
    });
}

/// The same with stores of sessions; `make` is the expression of `session_repo!`.
///
/// # Panics
/// When an answer differs: with the seed and the operations.
pub fn session_repos<M: Future<Output = Arc<dyn SessionRepo>>>(
    seed: u64,
    operations: usize,
    make: impl FnOnce(Arc<ManualClock>) -> M,
) {
    let clock = Arc::new(ManualClock::default());
    let model = MemorySessionRepo::new(Arc::clone(&clock) as _);
    run(async {
        let driver = make(Arc::clone(&clock)).await;
        let mut run = Run::new(seed, clock, model, driver);
        for _ in 0..operations {
            run.session().await;
        }
    });
}

struct Run<M, D: ?Sized> {
    clock: Arc<ManualClock>,
    model: M,
    driver: Arc<D>,
    random: SeededEntropy,
    log: Log<TenantId>,
    /// Tokens of sessions are never made twice.
    tokens: u64,
}

/// The same call to both.
macro_rules! both {
    ($run:ident, $tenant:ident, $call:ident($($argument:expr),*)) => {{
        let told = format!(concat!(stringify!($call), "{:?}"), ($(&$argument,)*));
        $run.log.note(Some($tenant.clone()), told);
        let model = $run.model.$call(&$tenant, $($argument),*).await;
        let driver = $run.driver.$call(&$tenant, $($argument),*).await;
        let _ = $run.log.same(model, driver);
    }};
}

impl<M, D: ?Sized> Run<M, D> {
    fn new(seed: u64, clock: Arc<ManualClock>, model: M, driver: Arc<D>) -> Self {
        Self {
            clock,
            model,
            driver,
            random: SeededEntropy::new(seed),
            log: Log::new(seed),
            tokens: 0,
        }
    }

    /// One of few, so that they meet again.
    fn tenant(&self) -> TenantId {
        TenantId::new(*self.random.pick(&["local", "b"])).expect("an id")
    }

    fn number(&self) -> u128 {
        self.random.below(4).into()
    }

    fn principal(&self) -> PrincipalId {
        Uuid::from_u128(self.number()).into()
    }

    fn advance(&mut self) {
        let by = *self.random.pick(&[1, 500, 59_000, 60_000, 600_000]);
        let by = Duration::from_millis(by);
        self.log.note(None, format!("advance {by:?}"));
        self.clock.advance(by);
    }
}

impl Run<MemoryIdentityRepo, dyn IdentityRepo> {
    fn project(&self) -> Option<ProjectId> {
        let name = *self.random.pick(&["", "x", "X", "y.z"]);
        ProjectId::new(name).ok()
    }

    fn role(&self) -> Option<Role> {
        let role = *self.random.pick(&Role::ALL);
        // Owners mostly: of them there are rules.
        match self.random.below(4) {
            0 => None,
            1 => Some(role),
            _ => Some(Role::Owner),
        }
    }

    async fn record(&self, tenant: &TenantId) -> PrincipalRecord {
        let id = self.principal();
        let there = self.model.standing(tenant, PrincipalKey::Id(id)).await;
        let there = there.ok().flatten().map(|it| it.principal);
        if let Some(there) = &there
            && self.random.chance(15)
        {
            return there.clone();
        }
        let kinds = [PrincipalKind::Person, PrincipalKind::Service];
        let kind = there
            .as_ref()
            .map(|it| it.kind)
            .filter(|_| self.random.chance(90));
        let version = there.as_ref().map_or(1, |it| it.version + 1);
        let subject = *self.random.pick(&["", "1", "2"]);
        PrincipalRecord {
            id,
            version: match self.random.chance(85) {
                true => version,
                false => u32::try_from(self.random.below(6)).expect("a small number"),
            },
            kind: kind.unwrap_or_else(|| *self.random.pick(&kinds)),
            login: (*self.random.pick(&["a", "b", "A", "ä", "c", "d", ""])).to_owned(),
            name: String::new(),
            password: None,
            subject: (!subject.is_empty()).then(|| subject.to_owned()),
            disabled: self.random.chance(25),
        }
    }

    async fn identity(&mut self) {
        let tenant = self.tenant();
        let (id, project) = (self.principal(), self.project());
        let limit = *self.random.pick(&[0, 1, 2, 100]);
        match self.random.below(100) {
            0..25 => {
                let new = self.record(&tenant).await;
                both!(self, tenant, put_principal(new.clone()));
            }
            25..29 => both!(self, tenant, delete_principal(id)),
            29..34 => {
                let key = *self.random.pick(&[
                    PrincipalKey::Id(id),
                    PrincipalKey::Login("a"),
                    PrincipalKey::Subject("1"),
                ]);
                both!(self, tenant, standing(key));
            }
            34..39 => {
                let after = self.random.chance(40).then_some("b");
                both!(self, tenant, principals(after, limit));
            }
            39..46 => {
                let version = u32::try_from(1 + self.random.below(3)).expect("a small number");
                if let Some(id) = project {
                    let name = "n".repeat(*self.random.pick(&[0, 1, 2, 2]));
                    let new = ProjectRecord { id, version, name };
                    both!(self, tenant, put_project(new.clone()));
                }
            }
            46..49 => {
                if let Some(project) = project {
                    both!(self, tenant, delete_project(&project));
                }
            }
            49..53 => {
                let after = project.filter(|_| self.random.chance(40));
                both!(self, tenant, projects(after.as_ref(), limit));
            }
            53..70 => {
                let there = self.model.standing(&tenant, PrincipalKey::Id(id)).await;
                let there = there.ok().flatten().map(|it| it.memberships);
                let mut there = there.unwrap_or_default().into_iter();
                let seen = there.find(|it| it.project == project).map(|it| it.role);
                let from = match self.random.chance(80) {
                    true => seen,
                    false => self.role(),
                };
                let to = self.role();
                both!(
                    self,
                    tenant,
                    change_membership(id, project.as_ref(), from, to)
                );
            }
            70..74 => {
                let after = self.random.chance(40).then_some(id);
                both!(self, tenant, members(project.as_ref(), after, limit));
            }
            74..84 => {
                let lasts = Duration::from_millis(*self.random.pick(&[1, 60_000]));
                let new = ApiKeyRecord {
                    prefix: (*self.random.pick(&["k", "K", "l", ""])).to_owned(),
                    principal: id,
                    name: "n".to_owned(),
                    hash: Digest::of(b"x"),
                    project,
                    scopes: self.random.chance(50).then(|| vec!["a:b".to_owned()]),
                    expires_at: Some(self.clock.now().plus(lasts)),
                };
                both!(self, tenant, add_key(new.clone()));
            }
            84..93 => {
                let prefix = *self.random.pick(&["k", "K", "l"]);
                match self.random.below(5) {
                    0 => both!(self, tenant, remove_key(prefix)),
                    1 => both!(self, tenant, key(prefix)),
                    2 => both!(self, tenant, key_and_standing(prefix)),
                    3 => both!(self, tenant, keys(id)),
                    _ => both!(self, tenant, key_used(prefix)),
                }
            }
            _ => self.advance(),
        }
    }
}

/// Few tries are free, and waits are short, so that all of it happens.
const LOCKOUT: Lockout = Lockout {
    free: 2,
    first: Duration::from_millis(400),
    longest: Duration::from_secs(100),
    forget: Duration::from_secs(300),
};

impl Run<MemorySessionRepo, dyn SessionRepo> {
    /// A token that was made before.
    fn token(&self) -> Digest {
        let back = self.random.below(12).min(self.tokens);
        Digest::of(&(self.tokens - back).to_be_bytes())
    }

    fn new_token(&mut self) -> Digest {
        self.tokens += 1;
        Digest::of(&self.tokens.to_be_bytes())
    }

    async fn session(&mut self) {
        let tenant = self.tenant();
        let (principal, id) = (
            self.principal(),
            Uuid::from_u128(self.random.below(12).into()),
        );
        let old = self.token();
        match self.random.below(100) {
            0..18 => {
                let kinds = [
                    SessionKind::Browser,
                    SessionKind::Program,
                    SessionKind::Program,
                ];
                let token = match self.random.chance(85) {
                    true => self.new_token(),
                    false => old,
                };
                let millis = |choice: &u64| Duration::from_millis(*choice);
                let new = NewSession {
                    id,
                    principal,
                    kind: *self.random.pick(&kinds),
                    token,
                    from: "f".repeat(*self.random.pick(&[0, 1, 1, 1, 1_000])),
                    agent: String::new(),
                    idle: millis(self.random.pick(&[60_000, 600_000, 1_200_000])),
                    lasts: millis(self.random.pick(&[60_000, 1_200_000, 6_000_000])),
                };
                both!(self, tenant, open_session(new.clone()));
                if self.random.chance(15) {
                    both!(self, tenant, open_session(new.clone()));
                }
            }
            18..32 => {
                let key = match self.random.chance(70) {
                    true => SessionKey::Token(old),
                    false => SessionKey::Id(id),
                };
                both!(self, tenant, session(key));
            }
            32..50 => {
                let to = self.new_token();
                both!(self, tenant, rotate(old, to));
                if self.random.chance(20) {
                    both!(self, tenant, rotate(old, to));
                }
            }
            50..56 => {
                let which = match self.random.chance(70) {
                    true => Closing::One(principal, id),
                    false => Closing::All {
                        principal,
                        but: self.random.chance(50).then_some(id),
                    },
                };
                both!(self, tenant, close_sessions(which));
            }
            56..62 => both!(self, tenant, sessions(principal)),
            62..72 => {
                let new = NewOnce {
                    token: old,
                    purpose: (*self.random.pick(&["p", "q", ""])).to_owned(),
                    content: "c".to_owned(),
                    ttl: Duration::from_millis(*self.random.pick(&[1, 60_000])),
                    alone: self.random.chance(30),
                };
                both!(self, tenant, put_once(new.clone()));
            }
            72..80 => {
                let purpose = *self.random.pick(&["p", "q"]);
                both!(self, tenant, take_once(purpose, old));
            }
            80..90 => {
                let key = Digest::of(self.random.pick(&[b"1", b"2"]).as_slice());
                both!(self, tenant, attempt(key, &LOCKOUT));
            }
            90..92 => {
                let key = Digest::of(self.random.pick(&[b"1", b"2"]).as_slice());
                both!(self, tenant, forget_attempts(key));
            }
            _ => self.advance(),
        }
    }
}
