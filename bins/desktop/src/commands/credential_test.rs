//! `nebula credentials test`: sends a credential to one of its hosts and says what came of it.

use std::sync::Arc;

use http::Method;
use nebula_access::{AccessError, Asked, GivenToken, TestError, Tested, Verdict};
use nebula_core::{CredentialId, TenantId};
use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::json;

use crate::{
    compose,
    console::Console,
    failure::{Exit, Failure},
    kept::Keeper as _,
    server::{Ask, Server},
    settings::{Loaded, Place},
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
    let told = match &loaded.place {
        Place::Server(at) => there(&compose::server(loaded, at)?, id, url).await?,
        _ => {
            let composed = compose::vault(loaded).await?;
            let tested = composed.access.test(&TenantId::local(), id, url).await;
            tested.map_err(not_tested)?.into()
        }
    };
    tell(id, &told, console)
}

/// What came of it, whoever tried.
#[derive(Debug, Deserialize)]
struct Told {
    /// The type of the credential; a server tells it elsewhere.
    #[serde(skip)]
    kind: String,
    version: Option<u32>,
    token: Option<ToldToken>,
    asked: Option<ToldAnswers>,
    #[serde(deserialize_with = "verdict")]
    verdict: Verdict,
    why: Option<String>,
}

#[derive(Debug, Deserialize)]
struct ToldToken {
    origin: String,
    expires_at: String,
}

#[derive(Debug, Deserialize)]
struct ToldAnswers {
    origin: String,
    without: u16,
    with: u16,
}

impl From<Tested> for Told {
    fn from(tested: Tested) -> Self {
        Self {
            kind: tested.kind.name().to_owned(),
            version: tested.version,
            token: tested
                .token
                .map(|GivenToken { origin, expires_at }| ToldToken { origin, expires_at }),
            asked: tested.asked.map(
                |Asked {
                     origin,
                     without,
                     with,
                 }| ToldAnswers {
                    origin,
                    without: without.as_u16(),
                    with: with.as_u16(),
                },
            ),
            verdict: tested.verdict,
            why: tested.why,
        }
    }
}

fn verdict<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Verdict, D::Error> {
    let name = String::deserialize(deserializer)?;
    let all = [Verdict::Accepted, Verdict::Refused, Verdict::Unclear];
    let found = all.into_iter().find(|it| it.name() == name);
    found.ok_or_else(|| D::Error::custom("a verdict is `accepted`, `refused` or `unclear`"))
}

/// Has a server try it: its way out counts then, and not that of this machine.
async fn there(server: &Server, id: &CredentialId, url: Option<&str>) -> Result<Told, Failure> {
    let known = server.credential(id).await?;
    let Some((kind, _)) = known else {
        let message = format!("there is no credential `{id}`");
        return Err(Failure::invalid("UNKNOWN_CREDENTIAL", message)
            .advice("`nebula credentials list` lists those that there are"));
    };
    let ask = Ask::new(Method::POST).at(["credentials"]).at([id.as_str()]);
    let ask = ask.at(["test"]).json(&json!({ "url": url }));
    let mut told: Told = server.get(ask).await?;
    told.kind = kind.name().to_owned();
    Ok(told)
}

/// Says what came of it.
fn tell(id: &CredentialId, tested: &Told, console: &Console) -> Result<Exit, Failure> {
    let kind = &tested.kind;
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
    let Told { token, asked, .. } = tested;
    if console.json {
        console.document(&json!({
            "credential": id,
            "type": kind,
            "version": tested.version,
            "token": token.as_ref().map(|it| json!({ "origin": it.origin, "expires_at": it.expires_at })),
            "origin": asked.as_ref().map(|it| &it.origin),
            "without": asked.as_ref().map(|it| it.without),
            "with": asked.as_ref().map(|it| it.with),
            "verdict": tested.verdict.name(),
        }))?;
    } else {
        let fetched = token.iter().map(|ToldToken { origin, expires_at }| {
            format!("{origin} gives a token, which is good until {expires_at}")
        });
        let answers = asked.iter().map(|it| {
            let ToldAnswers {
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
