//! Whether the credentials that a workflow names are there and fit it: asked before anything runs.
//!
//! Of what it calls, nothing is asked here; those are checked when they are run by themselves.

use std::{collections::BTreeMap, path::Path};

use nebula::registry::Registry;
use nebula_action::{Capability, CredentialSlot, HostPattern};
use nebula_core::{CredentialId, TenantId};
use nebula_credential::{AllowedHosts, CredentialType};
use nebula_execution::{ExecutionPlan, PlanCredential, Request};
use nebula_vault::VaultError;
use nebula_workflow::{Diagnostic, NodeDefinition, Severity, WorkflowDefinition, pointer_join};

use crate::{compose, failure::Failure, settings::Loaded};

/// A workflow, and what is known of it before it runs.
pub(crate) struct Asker<'a> {
    pub(crate) plan: &'a ExecutionPlan,
    /// Where the nodes stand in its source; without it, places are those of the plan.
    pub(crate) definition: Option<&'a WorkflowDefinition>,
    pub(crate) registry: &'a Registry,
    /// What its nodes ask for, if its input is known.
    pub(crate) requests: Option<&'a [Request]>,
    /// Where relative paths begin.
    pub(crate) folder: &'a Path,
}

/// One slot of a node.
struct Filled<'a> {
    node: &'a str,
    credential: &'a PlanCredential,
    slot: Option<&'a CredentialSlot>,
    /// The hosts and ports that the node names, as far as they are known.
    destinations: Vec<(String, u16)>,
    pointer: String,
}

/// What is known of a credential.
type Known = Result<(CredentialType, AllowedHosts), VaultError>;

/// What is wrong with the credentials of a workflow: of this severity, each with its place.
pub(crate) async fn problems(
    asker: &Asker<'_>,
    severity: Severity,
    loaded: &Loaded,
) -> Result<Vec<Diagnostic>, Failure> {
    let filled = asker.filled();
    if filled.is_empty() {
        return Ok(Vec::new());
    }
    let vault = compose::credentials(loaded).await?;
    let mut known: BTreeMap<&CredentialId, Known> = BTreeMap::new();
    for id in filled.iter().map(|it| &it.credential.id) {
        if !known.contains_key(id) {
            let found = match &vault {
                Some(vault) => vault.hosts(&TenantId::local(), id).await,
                None => Err(VaultError::Unknown(id.clone())),
            };
            known.insert(id, found);
        }
    }
    let database = loaded.place.flag();
    let problems = filled
        .iter()
        .filter_map(|it| it.problem(&known[&it.credential.id], severity, &database));
    Ok(problems.collect())
}

/// The failure for a workflow whose credentials have these problems.
pub(crate) fn refused(plan: &ExecutionPlan, problems: &[Diagnostic]) -> Failure {
    let message = format!(
        "workflow `{}` names {} that cannot be used; nothing was run",
        plan.workflow,
        match problems {
            [_] => "a credential".to_owned(),
            more => format!("{} credentials", more.len()),
        },
    );
    let failure = Failure::invalid("CREDENTIALS_UNFIT", message);
    match problems.first().and_then(|first| first.hint.clone()) {
        Some(hint) => failure.advice(hint),
        None => failure,
    }
}

impl<'a> Asker<'a> {
    /// Every slot that is filled; the plan has none of a node that cannot run.
    fn filled(&self) -> Vec<Filled<'a>> {
        let mut filled = Vec::new();
        for (index, node) in (0_u32..).zip(&self.plan.nodes) {
            let (id, undo) = (node.id.as_str(), node.compensation.as_deref());
            let mut add =
                |credentials: &'a [PlanCredential], slots: &'a [CredentialSlot], undoes| {
                    let place = self.pointer(index, id);
                    let place = if undoes {
                        pointer_join(&place, "compensate")
                    } else {
                        place
                    };
                    filled.extend(credentials.iter().map(|credential| Filled {
                        node: id,
                        credential,
                        slot: slots.iter().find(|slot| *slot.name == *credential.slot),
                        destinations: self.destinations(index, undoes),
                        pointer: format!("{place}/credentials/{}", credential.slot),
                    }));
                };
            let slots = |action, version| {
                let registered = self.registry.registered(action, version);
                registered.map_or(&[][..], |it| &it.action.metadata().credentials)
            };
            add(&node.credentials, slots(&node.action, node.version), false);
            if let Some(undo) = undo {
                add(&undo.credentials, slots(&undo.action, undo.version), true);
            }
        }
        filled
    }

    /// Where a node stands.
    fn pointer(&self, index: u32, id: &str) -> String {
        let written = self.definition.and_then(|it| find(&it.nodes, id, "/nodes"));
        written.unwrap_or_else(|| format!("/nodes/{index}"))
    }

    /// The single hosts that a node, or its compensation, asks for.
    fn destinations(&self, index: u32, undoes: bool) -> Vec<(String, u16)> {
        let single = |capability: &Capability| match capability {
            Capability::Net {
                host: host @ HostPattern::Name(_),
                port: Some(port),
            } => Some((host.to_string(), *port)),
            Capability::Net {
                host: host @ HostPattern::Range { network, .. },
                port: Some(port),
            } if *host == HostPattern::address(*network) => Some((host.to_string(), *port)),
            _ => None,
        };
        if let Some(requests) = self.requests {
            let mine = requests
                .iter()
                .filter(|it| it.node == index && it.compensates == undoes);
            return mine.filter_map(|it| single(&it.capability)).collect();
        }
        let node = self.plan.node(index);
        let texts = match (undoes, node.compensation.as_deref()) {
            (true, Some(undo)) => &undo.capabilities,
            _ => &node.capabilities,
        };
        let read = texts
            .iter()
            .filter_map(|it| Capability::parse(it, self.folder).ok());
        read.filter_map(|it| single(&it)).collect()
    }
}

/// The place of a node, also in a body.
fn find(nodes: &[NodeDefinition], id: &str, at: &str) -> Option<String> {
    nodes.iter().enumerate().find_map(|(index, node)| {
        let here = format!("{at}/{index}");
        if node.id.as_str() == id {
            return Some(here);
        }
        find(
            &node.body.as_ref()?.nodes,
            id,
            &format!("{here}/body/nodes"),
        )
    })
}

impl Filled<'_> {
    fn problem(&self, known: &Known, severity: Severity, database: &str) -> Option<Diagnostic> {
        let (node, id) = (self.node, &self.credential.id);
        let types: &[String] = self.slot.map_or(&[], |slot| &slot.types);
        let hosts: Vec<_> = self
            .destinations
            .iter()
            .map(|(host, port)| format!("{host}:{port}"))
            .collect();
        let hosts = hosts.join(",");
        let (code, message, hint) = match known {
            Err(VaultError::Unknown(_)) => {
                let kind = match types {
                    [only] => only.clone(),
                    [] => "TYPE".to_owned(),
                    more => format!("TYPE ({})", more.join(", ")),
                };
                let hosts = if hosts.is_empty() { "HOST" } else { &hosts };
                (
                    "CREDENTIAL_UNKNOWN",
                    format!("node `{node}` names the credential `{id}`, which is not there"),
                    format!("nebula credentials add {id} --hosts {hosts}{database} --type {kind}"),
                )
            }
            Err(error) => (
                "CREDENTIAL_UNREADABLE",
                format!("the credential `{id}` of node `{node}` cannot be opened: {error}"),
                error.advice().to_owned(),
            ),
            Ok((kind, _)) if !types.iter().any(|it| it == kind.name()) => (
                "CREDENTIAL_TYPE",
                format!(
                    "the credential `{id}` is of type {kind}; the slot `{}` of node `{node}` takes {}",
                    self.credential.slot,
                    types.join(", ")
                ),
                "name another credential: `nebula credentials list` shows their types".to_owned(),
            ),
            Ok((_, allowed))
                if !self.destinations.is_empty()
                    && !self
                        .destinations
                        .iter()
                        .any(|(host, port)| allowed.allow(host, *port)) =>
            {
                let patterns: Vec<_> = allowed.patterns().collect();
                let to = match patterns.is_empty() {
                    true => "to no host".to_owned(),
                    false => format!("to {} only", patterns.join(", ")),
                };
                (
                    "CREDENTIAL_HOST",
                    format!("the credential `{id}` may be sent {to}; node `{node}` asks {hosts}"),
                    format!(
                        "if that is a host of its service: nebula credentials rotate {id} --hosts {hosts}{database}, with those of before"
                    ),
                )
            }
            Ok(_) => return None,
        };
        let pointer = self.pointer.clone();
        let problem = match severity {
            Severity::Error => Diagnostic::error(code, pointer, message),
            _ => Diagnostic::warning(code, pointer, message),
        };
        Some(problem.hint(hint))
    }
}
