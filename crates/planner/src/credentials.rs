//! The credentials that a node names.

use indexmap::IndexMap;
use nebula_action::{ActionMetadata, CredentialSlot};
use nebula_core::CredentialId;
use nebula_execution::PlanCredential;
use nebula_workflow::{Diagnostic, pointer_join};

use crate::codes;

/// What stands in the slots of an action; problems are reported. Whether the credentials exist, and of
/// what type they are, is known when they are opened.
pub(crate) fn filled(
    written: &IndexMap<String, String>,
    metadata: &ActionMetadata,
    runs: bool,
    pointer: &str,
    diagnostics: &mut Vec<Diagnostic>,
) -> Vec<PlanCredential> {
    let at = pointer_join(pointer, "credentials");
    let slots = &metadata.credentials;
    let mut filled = Vec::with_capacity(written.len());
    for (slot, id) in written {
        let place = pointer_join(&at, slot);
        if !slots.iter().any(|it| it.name == *slot) {
            let message = format!("`{}` has no slot `{slot}` for a credential", metadata.id);
            let problem = Diagnostic::error(codes::CREDENTIALS, place, message);
            diagnostics.push(problem.hint(known(metadata)));
            continue;
        }
        match CredentialId::new(id.as_str()) {
            Ok(id) => filled.push(PlanCredential {
                slot: slot.as_str().into(),
                id,
            }),
            Err(error) => diagnostics.push(
                Diagnostic::error(codes::CREDENTIALS, place, error.to_string())
                    .hint("name a credential by its id, as `nebula credentials list` shows it"),
            ),
        }
    }
    let missing = |slot: &&CredentialSlot| slot.required && !written.contains_key(&slot.name);
    for slot in slots.iter().filter(missing).filter(|_| runs) {
        let (name, types) = (&slot.name, slot.types.join(" or "));
        let message = format!(
            "`{}` needs a credential in its slot `{name}`: {types}",
            metadata.id
        );
        diagnostics.push(
            Diagnostic::error(codes::CREDENTIALS, pointer, message).hint(format!(
                "write `credentials: {{ {name}: <credential id> }}`"
            )),
        );
    }
    filled
}

/// Who names a credential asks for it: `secret:<id>`.
pub(crate) fn imply(credentials: &[PlanCredential], capabilities: &mut Vec<String>) {
    for credential in credentials {
        let capability = format!("secret:{}", credential.id);
        if !capabilities.contains(&capability) {
            capabilities.push(capability);
        }
    }
}

fn known(metadata: &ActionMetadata) -> String {
    let slots = metadata.credentials.iter();
    let slots: Vec<_> = slots
        .map(|slot| format!("`{}` ({})", slot.name, slot.types.join(", ")))
        .collect();
    match slots.is_empty() {
        true => "leave it out: this action takes no credentials".to_owned(),
        false => format!("it has {}", slots.join(" and ")),
    }
}
