//! Credentials: attempts use them while operators rotate them, their master keys and the key of the
//! secrets; and no value of theirs stands where anybody can read it.
//!
//! All values have one text in common ([`MARK`]), so that one search finds any of them, also in base64
//! and in hex. In half of the worlds they are tokens that are refreshed (`tokens.rs`). Log lines are not looked at here: they are the matter of the canaries in `bins/desktop`.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, LazyLock},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use memchr::memmem::Finder;
use nebula::{
    access::{Access, AccessPorts},
    telemetry::{Bus, Received},
};
use nebula_action::{ActionContext, Capability, Grants, HeldCredential, Progress};
use nebula_core::{
    BoxFuture, Clock, CredentialId, ExecutionId, ExposeSecret, SecretString, TenantId,
};
use nebula_credential::{AllowedHosts, Credential, CredentialType, MARKER, Redactor};
use nebula_execution::{Entry, InstanceId, StartOptions};
use nebula_ports::{CredentialUser, ErrorKind, Step};
use nebula_vault::{KeyFound, KeysRotated, Vault, VaultError, VaultPut};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::{
    checks,
    collecting::OVER,
    director::Director,
    process::queue,
    scheduler::{Life, Order, Owner},
    swarm::{Fault, Recovery},
    tokens::{self, TokenServer, Way},
    wire::Wire,
    world::{World, tenants},
};
use crate::SeededEntropy;

/// What every value begins with. Nothing else in a world has this text.
const MARK: &str = "s3cr3t_of_no_";

/// The slot of the simulated actions.
pub(super) const SLOT: &str = "auth";

/// What reading nodes use, and what writing ones do.
const LOOKS: &str = "looks";
const ACTS: &str = "acts";

/// How a server gives back what it was sent.
pub(super) const LEAKS: &[&str] = &["not", "plain", "base64", "hex", "json", "key", "progress"];

/// How long operators rest at most, in milliseconds.
const REST: u64 = 2_000;

/// How often there are two at a time, how often one dies of it, and how often one stands still,
/// in a hundred.
const TWO: u64 = 60;
const CUT: u64 = 30;
const STANDS: u64 = 20;

/// How long an operator is waited for, before it is ended.
const PATIENCE: Duration = Duration::from_mins(2);

/// What operators do.
const DEEDS: &[Fault] = &[
    Fault::CredentialRotated,
    Fault::KeysRotated,
    Fault::SecretsRotated,
];

/// The credential that a node with this action uses.
pub(super) fn credential_of(action: &str) -> &'static str {
    match action {
        "sim.read" => LOOKS,
        _ => ACTS,
    }
}

fn ids() -> [CredentialId; 2] {
    [LOOKS, ACTS].map(|id| CredentialId::new(id).expect("a good id"))
}

/// What starts are granted: every credential.
pub(super) fn granted() -> StartOptions {
    let all = ids().map(|id| Capability::Secret(id.to_string()));
    StartOptions {
        grants: Grants::new(all),
        ..StartOptions::default()
    }
}

/// A version's value; the version can be read in it.
pub(super) fn value(tenant: &TenantId, id: &CredentialId, version: u32, unique: u64) -> String {
    format!("{MARK}{tenant}.{id}.{version}.{unique:016x}")
}

/// A version that is good as it is.
fn made(tenant: &TenantId, id: &CredentialId, version: u32, unique: u64) -> Credential {
    let token = value(tenant, id, version, unique);
    let fields = BTreeMap::from([("token".to_owned(), token.into())]);
    let hosts = AllowedHosts::parse(["api.example"]).expect("a good host");
    Credential::new(CredentialType::Bearer, fields, hosts).expect("a good credential")
}

/// Whose a value is, and of which version.
pub(super) fn told(token: &str) -> Option<(TenantId, CredentialId, u32)> {
    let mut parts = token.strip_prefix(MARK)?.split('.');
    let tenant = TenantId::new(parts.next()?).ok()?;
    let id = CredentialId::new(parts.next()?).ok()?;
    Some((tenant, id, parts.next()?.parse().ok()?))
}

/// The value of what an attempt holds.
pub(super) fn token(held: &HeldCredential) -> &str {
    secret(held).expose_secret()
}

fn secret(held: &HeldCredential) -> &SecretString {
    let token = held.field("token").or_else(|| held.field("access_token"));
    token.expect("it has a token")
}

/// A result as people see it who ask the server for it: without what it was sent.
pub(super) fn clean(ctx: &ActionContext, input: &Value, result: &Value) -> Value {
    let mut result = leak(ctx, input, result.clone());
    if let Some(held) = ctx.credentials.get(SLOT) {
        let mut redactor = Redactor::default();
        redactor.add(secret(held));
        redactor.value(&mut result);
    }
    result
}

/// A result as a server gives it that repeats what it was sent.
pub(super) fn leak(ctx: &ActionContext, input: &Value, mut result: Value) -> Value {
    let Some(held) = ctx.credentials.get(SLOT) else {
        return result;
    };
    let token = token(held);
    let said = match input["leaks"].as_str().unwrap_or_default() {
        "plain" => json!(format!("the server knows {token}")),
        "base64" => json!(STANDARD_NO_PAD.encode(format!("user:{token}"))),
        "hex" => json!(hex(token.as_bytes())),
        "json" => json!(json!({ "sent": [token] }).to_string()),
        "key" => json!({ token: 1 }),
        "progress" => {
            ctx.heartbeat(Progress::of(1, 2).note(format!("sent {token}")));
            Value::Null
        }
        _ => return result,
    };
    result["said"] = said;
    result
}

fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().map(|byte| format!("{byte:02x}"));
    digits.collect()
}

/// What is looked for: a part of any value, as it is, in hex, and in base64 wherever it begins there.
static NEEDLES: LazyLock<Vec<Finder<'static>>> = LazyLock::new(|| {
    let mut texts = vec![MARK.to_owned(), hex(MARK.as_bytes())];
    for before in 0..3 {
        let bytes = [&b"\0\0"[..before], MARK.as_bytes()].concat();
        let text = STANDARD_NO_PAD.encode(&bytes);
        // Only these characters do not depend on what stands around it.
        let (first, last) = ((8 * before).div_ceil(6), 8 * bytes.len() / 6);
        texts.push(text[first..last].to_owned());
    }
    let finders = texts.iter().map(|text| Finder::new(text).into_owned());
    finders.collect()
});

/// What the world knows of credentials in use.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// The version that was put last.
    current: BTreeMap<(TenantId, CredentialId), u32>,
    /// Versions that a process has read and not given out.
    read: BTreeMap<(Life, TenantId, CredentialId, u32), u32>,
    /// Uses that are recorded.
    used: BTreeSet<(ExecutionId, String, u32, CredentialId, u32)>,
    /// The version that the last attempt under a key had.
    last: BTreeMap<String, u32>,
    /// Who gives tokens.
    pub(super) tokens: TokenServer,
}

impl World {
    /// Looks for secrets in what is stored or shown.
    pub(super) fn look_for_secrets(&self, place: &str, bytes: &[u8]) {
        if !self.swarm.has_secrets() {
            return;
        }
        for needle in &*NEEDLES {
            if let Some(at) = needle.find(bytes) {
                let around = &bytes[at.saturating_sub(40)..bytes.len().min(at + 80)];
                let around = String::from_utf8_lossy(around);
                self.complain(checks::NO_SECRET, format!("{place}: …{around}…"));
                return;
            }
        }
    }

    /// The same of entries on their way to a journal.
    pub(super) fn look_at_entries(&self, entries: &[Entry]) {
        if !self.swarm.has_secrets() {
            return;
        }
        let text = serde_json::to_vec(entries).expect("entries are JSON");
        self.look_for_secrets("a journal", &text);
        if memchr::memmem::find(&text, MARKER.as_bytes()).is_some() {
            self.recovered(Recovery::TakenOut);
        }
    }

    /// The same of a step, with all that goes along with it.
    pub(super) fn look_at_step(&self, step: &Step) {
        self.look_at_entries(&step.entries);
        if !self.swarm.has_secrets() {
            return;
        }
        for child in &step.children {
            self.look_at_entries(&child.entries);
        }
        for delivery in &step.deliver {
            let payload = delivery.payload.to_string();
            self.look_for_secrets("a delivery", payload.as_bytes());
        }
        if let Some(snapshot) = &step.snapshot {
            self.look_for_secrets("a snapshot", &snapshot.state);
        }
    }

    /// A version was put.
    pub(super) fn put_version(&self, tenant: &TenantId, id: &CredentialId, version: u32) {
        let mut held = self.held.lock();
        let current = held.current.entry((tenant.clone(), id.clone()));
        let current = current.or_default();
        let before = std::mem::replace(current, version);
        drop(held);
        if version != before + 1 {
            let what = format!("{id} of {tenant}: version {version} after {before}");
            self.complain(checks::KEPT, what);
        }
    }

    /// A process has read a version.
    pub(super) fn read_version(
        &self,
        life: Life,
        tenant: &TenantId,
        id: &CredentialId,
        version: u32,
    ) {
        let place = (life, tenant.clone(), id.clone(), version);
        *self.held.lock().read.entry(place).or_default() += 1;
    }

    /// A use was recorded, before the value is given out.
    pub(super) fn used_version(
        &self,
        tenant: &TenantId,
        id: &CredentialId,
        version: u32,
        user: &CredentialUser,
    ) {
        let CredentialUser::Attempt {
            execution,
            node,
            attempt,
        } = user
        else {
            return;
        };
        let mut oracle = self.oracle.lock();
        oracle.touched(tenant, *execution);
        if id.as_str() == ACTS && !oracle.has_started(*execution, node, *attempt) {
            let what = format!("{execution} {node}, attempt {attempt}");
            oracle.complain(checks::OPENED_LATE, what);
        }
        drop(oracle);
        let used = (*execution, node.clone(), *attempt, id.clone(), version);
        self.held.lock().used.insert(used);
    }

    /// An attempt has a credential in its hands.
    pub(super) fn handed_over(&self, ctx: &ActionContext, held: &HeldCredential, life: Life) {
        let what = |why: &str| format!("{} {}: {why}", ctx.execution, ctx.node);
        let Some((tenant, id, version)) = told(token(held)) else {
            return self.complain(checks::KEPT, what("it holds no value of ours"));
        };
        if tenant != ctx.tenant || id != *held.id() {
            let why = format!("it holds `{id}` of {tenant} as `{}`", held.id());
            self.complain(checks::TENANT, what(&why));
        }
        let mut known = self.held.lock();
        let current = known.current.get(&(tenant.clone(), id.clone())).copied();
        let read = (life, tenant, id.clone(), version);
        let was_read = match known.read.get_mut(&read) {
            Some(times) if *times > 0 => {
                *times -= 1;
                true
            }
            _ => false,
        };
        let key = ctx.idempotency_key.clone();
        let before = known.last.insert(key, version);
        let node = ctx.node.as_str();
        let is_recorded = known
            .used
            .iter()
            .any(|(execution, path, attempt, of, used)| {
                let mine =
                    (*execution, *attempt, of, *used) == (ctx.execution, ctx.attempt, &id, version);
                mine && path.rsplit('/').next() == Some(node)
            });
        drop(known);
        if current != Some(version) && !was_read {
            let why = format!("it holds version {version} of `{id}`, which {current:?} replaced");
            self.complain(checks::CURRENT, what(&why));
        }
        if before.is_some_and(|before| before < version) {
            self.recovered(Recovery::NewVersion);
        }
        if !is_recorded {
            let why = format!("attempt {} holds version {version} of `{id}`", ctx.attempt);
            self.complain(checks::USE_RECORDED, what(&why));
        }
    }

    /// A version that a person makes.
    fn new_version(&self, tenant: &TenantId, id: &CredentialId, version: u32) -> Credential {
        let make = match self.swarm.has_tokens() {
            true => tokens::made,
            false => made,
        };
        make(tenant, id, version, self.fresh())
    }

    /// Puts the first version of each credential, before anything can go wrong.
    pub(super) fn put_credentials(self: &Arc<Self>) {
        if !self.swarm.has_secrets() {
            return;
        }
        let vault = vault(self.wire(OVER));
        for tenant in tenants(&self.swarm) {
            for id in ids() {
                let first = self.new_version(&tenant, &id, 1);
                let put = self.ask(vault.put(&tenant, &id, None, &first));
                let _ = put.expect("nothing goes wrong yet");
            }
        }
    }

    /// When all is over, each credential is what was put last, before and after a rotation of the keys
    /// that goes on with those that were cut.
    pub(super) fn open_all_at_the_end(self: &Arc<Self>) {
        if !self.swarm.has_secrets() {
            return;
        }
        self.heal();
        for tenant in tenants(&self.swarm) {
            self.open_all(&tenant);
            let vault = vault(self.wire(OVER));
            let rotated = self.ask(vault.rotate_keys(&tenant));
            let keys = self.ask(vault.keys(&tenant));
            match (rotated, keys) {
                (Ok(KeysRotated::Rotated { .. }), Ok(keys))
                    if keys.len() == 1 && keys[0].found == KeyFound::Right => {}
                other => self.complain(checks::KEPT, format!("{tenant} has keys {other:?}")),
            }
            self.open_all(&tenant);
        }
    }

    fn open_all(self: &Arc<Self>, tenant: &TenantId) {
        // One that remembers no key.
        let vault = vault(self.wire(OVER));
        for id in ids() {
            let place = (tenant.clone(), id.clone());
            let current = self.held.lock().current.get(&place).copied();
            let opened = self.ask(vault.open(tenant, &id, &CredentialUser::Test));
            let found = opened.as_ref().ok().and_then(|opened| {
                let credential = &opened.credential;
                let token = credential.field("token");
                let token = token.or_else(|| credential.field("refresh_token"))?;
                told(token.expose_secret()).filter(|(.., version)| *version == opened.version)
            });
            let expected = current.map(|version| (tenant.clone(), id.clone(), version));
            if found != expected {
                let error = opened.err().map(|error| error.to_string());
                let what = format!("{found:?} instead of {expected:?}: {error:?}");
                self.complain(checks::KEPT, what);
            }
        }
    }

    fn wire(self: &Arc<Self>, life: Life) -> Arc<Wire> {
        Arc::new(Wire {
            world: self.clone(),
            life,
            queue: queue(self),
        })
    }
}

fn vault(wire: Arc<Wire>) -> Vault {
    let entropy = Arc::new(SeededEntropy::new(wire.world.fresh()));
    Vault::new(wire.clone(), wire, entropy)
}

/// What the worker of a process opens credentials with.
pub(super) fn access(wire: Arc<Wire>, clock: Arc<dyn Clock>) -> Access {
    let entropy = Arc::new(SeededEntropy::new(wire.world.fresh()));
    Access::new(AccessPorts {
        vault: Arc::new(vault(wire.clone())),
        http: Some(Arc::new(Way(wire))),
        clock,
        entropy,
    })
}

/// Reads all that a process shows.
pub(super) fn watch(world: &Arc<World>, bus: &Bus) {
    let (seen, mut watcher) = (world.clone(), bus.subscribe());
    world.board.spawn(Owner::World, async move {
        while let Some(received) = watcher.next().await {
            if let Received::Event(event) = received {
                seen.look_for_secrets("an event", format!("{event:?}").as_bytes());
            }
        }
    });
}

/// What came of an operator's command.
type Done = Result<(), VaultError>;

impl Director {
    /// Rotates again and again, in a process of its own each time, as operators' commands do.
    pub(super) async fn rotate(&self) {
        let (world, chance) = (&self.world, self.world.swarm.chance(6));
        let deeds = DEEDS.iter().copied();
        let deeds: Vec<_> = deeds.filter(|deed| world.swarm.has(*deed)).collect();
        if !world.swarm.has_secrets() || deeds.is_empty() {
            return;
        }
        loop {
            self.sleep_up_to(&chance, REST).await;
            if !world.is_faulty() {
                return;
            }
            let deed = *chance.pick(&deeds);
            let tenant = chance.pick(&tenants(&world.swarm)).clone();
            let id = chance.pick(&ids()).clone();
            let first = self.operator(deed, &tenant, &id, &chance);
            if chance.chance(TWO) {
                let second = self.operator(*chance.pick(&deeds), &tenant, &id, &chance);
                tokio::join!(biased; first, second);
            } else {
                first.await;
            }
        }
    }

    /// One operator does it, as far as it comes.
    async fn operator(
        &self,
        deed: Fault,
        tenant: &TenantId,
        id: &CredentialId,
        chance: &SeededEntropy,
    ) {
        let (world, life) = (&self.world, self.new_life());
        world.struck(deed);
        let (answer, answered) = oneshot::channel();
        let work = work(deed, world.wire(life), tenant.clone(), id.clone());
        world.board.spawn(Owner::Process(life), async move {
            let _ = answer.send(work.await);
        });
        self.disturb(life, chance);
        let done = tokio::select! {
            biased;
            done = answered => done.ok(),
            () = world.clock.sleep(PATIENCE) => None,
        };
        match done {
            Some(Ok(())) => world.note("rotated", format_args!("{deed} by {life}")),
            // The next one goes on where this one stopped.
            Some(Err(error)) if may_happen(&error) => {}
            Some(Err(error)) => world.complain(checks::KEPT, format!("{deed}: {error}")),
            None => world.kill(life),
        }
    }

    /// An operator may die, or stand still.
    fn disturb(&self, life: Life, chance: &SeededEntropy) {
        let world = &self.world;
        let cut = world.swarm.has(Fault::RotationCut) && chance.chance(CUT);
        let stands = world.swarm.has(Fault::RotationPaused) && chance.chance(STANDS);
        let (soon, long) = (chance.below(3_000), chance.below(30_000));
        if !cut && !stands {
            return;
        }
        world.struck(match cut {
            true => Fault::RotationCut,
            false => Fault::RotationPaused,
        });
        let world = world.clone();
        world.clone().board.spawn(Owner::World, async move {
            world.clock.sleep(Duration::from_millis(soon)).await;
            if cut {
                return world.kill(life);
            }
            world.board.order(Order::Pause(life));
            world.clock.sleep(Duration::from_millis(long)).await;
            world.board.order(Order::Resume(life));
        });
    }
}

/// What an operator does.
fn work(
    deed: Fault,
    wire: Arc<Wire>,
    tenant: TenantId,
    id: CredentialId,
) -> BoxFuture<'static, Done> {
    Box::pin(async move {
        let (world, vault) = (wire.world.clone(), vault(wire.clone()));
        match deed {
            Fault::CredentialRotated => {
                let user = CredentialUser::Change;
                let version = vault.open(&tenant, &id, &user).await?.version;
                let next = world.new_version(&tenant, &id, version + 1);
                if let VaultPut::Conflict { .. } =
                    vault.put(&tenant, &id, Some(version), &next).await?
                {
                    world.recovered(Recovery::RotationLost);
                }
            }
            Fault::KeysRotated => {
                if let KeysRotated::Rotated { resumed: true, .. } =
                    vault.rotate_keys(&tenant).await?
                {
                    world.recovered(Recovery::RotationResumed);
                }
            }
            _ => {
                let _ = nebula_ports::SecretsStore::rotate(&*wire).await?;
            }
        }
        Ok(())
    })
}

/// Whether a command may fail so while stores do, or while others rotate.
fn may_happen(error: &VaultError) -> bool {
    match error {
        VaultError::Port(error) => matches!(error.kind, ErrorKind::Unavailable | ErrorKind::Full),
        VaultError::Contended(_) => true,
        VaultError::Left { reason, .. } => may_happen(reason),
        _ => false,
    }
}

impl super::oracle::Oracle {
    /// Whether the start of such an attempt of a node is in the journal.
    fn has_started(&self, execution: ExecutionId, path: &str, attempt: u32) -> bool {
        let node = path.rsplit('/').next();
        self.started(execution).any(|(instance, attempts)| {
            let plain = instance.trim_start_matches(super::oracle::UNDO);
            let of = plain.parse::<InstanceId>();
            let same = of.is_ok_and(|of| of.node.as_str().rsplit('/').next() == node);
            same && attempts.contains_key(&attempt)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_value_is_found_in_any_form() {
        let id = CredentialId::new(ACTS).unwrap();
        let credential = made(&TenantId::local(), &id, 3, 77);
        let token = credential.field("token").unwrap().expose_secret();
        assert_eq!(told(token), Some((TenantId::local(), id, 3)));
        let encoded = |text: &str| STANDARD_NO_PAD.encode(text);
        for form in [
            format!("the server knows {token}"),
            hex(token.as_bytes()),
            encoded(token),
            encoded(&format!("u:{token}")),
            encoded(&format!("user:{token}")),
            encoded(&format!("me:{token}")),
        ] {
            let found = NEEDLES.iter().any(|it| it.find(form.as_bytes()).is_some());
            assert!(found, "{form}");
        }
        let other = "s3cr3t of someone";
        assert!(!NEEDLES.iter().any(|it| it.find(other.as_bytes()).is_some()));
    }
}
