//! `nebula credentials test`: sends a credential to one of its hosts and says what came of it.

use std::sync::Arc;

use nebula_access::{AccessError, Asked, GivenToken, TestError, Tested, Verdict};
use nebula_core::{CredentialId, TenantId};
use serde_json::json;

use crate::{
    compose,
    console::Console,
    failure::{Exit, Failure},
    settings::Loaded,
};

/// JSON: `{ "credential", "type", "version", "token", "origin", "without", "with", "verdict" }`; `token` is
/// `{ "origin", "expires_at" }` where one was fetched, `origin` and the two statuses are null where no URL
/// was named; the verdict is `accepted`, `refused` or `unclear`. Exit code 0 where it is accepted, else 1.
pub(crate) async fn run(
    id: &CredentialId,
    url: Option<&str>,
    loaded: &Loaded,
    console: &Console,
) -> Result<Exit, Failure> {
    let composed = compose::vault(loaded).await?;
    let tested = composed.access.test(&TenantId::local(), id, url).await;
    tell(id, &tested.map_err(not_tested)?, console)
}

/// Says what came of it.
fn tell(id: &CredentialId, tested: &Tested, console: &Console) -> Result<Exit, Failure> {
    let kind = tested.kind.name();
    if let Some(why) = &tested.why {
        match console.json {
            true => console.document(&json!({
                "credential": id,
                "type": kind,
                "verdict": tested.verdict.name(),
                "why": why,
            }))?,
            false => console.line(&format!("{id} is refused: {why}"))?,
        }
        console.note(&format!(
            "`nebula credentials rotate {id}` gives it new values"
        ));
        return Ok(Exit::Ended);
    }
    let Tested { token, asked, .. } = tested;
    if console.json {
        console.document(&json!({
            "credential": id,
            "type": kind,
            "version": tested.version,
            "token": token.as_ref().map(|it| json!({ "origin": it.origin, "expires_at": it.expires_at })),
            "origin": asked.as_ref().map(|it| &it.origin),
            "without": asked.as_ref().map(|it| it.without.as_u16()),
            "with": asked.as_ref().map(|it| it.with.as_u16()),
            "verdict": tested.verdict.name(),
        }))?;
    } else {
        let fetched = token.iter().map(|GivenToken { origin, expires_at }| {
            format!("{origin} gives a token, which is good until {expires_at}")
        });
        let answers = asked.iter().map(|it| {
            let Asked {
                origin,
                without,
                with,
            } = it;
            format!("{origin} answers {with}, and {without} without it")
        });
        let said = fetched.chain(answers).collect::<Vec<_>>().join("; ");
        console.line(&match tested.verdict {
            Verdict::Accepted => format!("{id} is accepted: {said}"),
            Verdict::Refused => format!("{id} is refused: {said}"),
            Verdict::Unclear => format!("nothing is known of {id}: {said}"),
        })?;
    }
    match tested.verdict {
        Verdict::Accepted => return Ok(Exit::Completed),
        Verdict::Refused => console.note(&format!(
            "`nebula credentials rotate {id}` gives it a new value"
        )),
        Verdict::Unclear => console.note(
            "a URL tells a credential that answers 401 or 403 without it, and otherwise with it",
        ),
    }
    Ok(Exit::Ended)
}

/// Why it was not tried.
fn not_tested(error: TestError) -> Failure {
    let message = error.to_string();
    match error {
        TestError::Kind { .. } => {
            Failure::invalid("CANNOT_TEST", message).advice("run a workflow that uses it")
        }
        TestError::NoUrl(id) => Failure::invalid("USAGE", message).advice(format!(
            "name something that only it may read: `nebula credentials test {id} --url https://…`"
        )),
        TestError::Url(_) => Failure::invalid("USAGE", message),
        TestError::Elsewhere { id, .. } => {
            Failure::invalid("CREDENTIAL_HOST", message).advice(format!(
                "if that is a host of its service: `nebula credentials rotate {id} --hosts …`, with those of before"
            ))
        }
        TestError::Access(AccessError::Vault(error)) => match Arc::try_unwrap(error) {
            Ok(error) => error.into(),
            Err(_) => Failure::environment("STORE", message),
        },
        TestError::Access(AccessError::Later { .. } | AccessError::Held { .. }) => {
            Failure::environment("HTTP", message).advice("try again later")
        }
        TestError::Access(_) => Failure::environment("CREDENTIAL_REFUSED", message)
            .advice("check the field `token_url` of the credential"),
        _ => Failure::environment("HTTP", message)
            .advice("check the URL, and that the host can be reached from here"),
    }
}
