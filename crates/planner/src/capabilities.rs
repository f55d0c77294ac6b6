//! What a node may touch, as far as its literal parameters tell.

use std::path::Path;

use indexmap::IndexMap;
use nebula_action::{Access, ActionMetadata, Capability, CapabilityRule, Egress};
use nebula_core::ParamValue;
use nebula_parameter::{CompileScope, ParamProgram};
use nebula_workflow::Diagnostic;
use serde_json::Value;

use crate::{codes, expressions::Place};

/// The capabilities that literal parameters imply, and those that `requires` names.
pub(crate) struct Wanted {
    pub(crate) literal: Vec<String>,
    pub(crate) dynamic: Vec<ParamProgram>,
}

/// Collects what an action asks for with these parameters and `requires`; relative paths stay relative until an execution starts.
pub(crate) fn wanted(
    (parameters, requires): (&IndexMap<String, ParamValue>, &[ParamValue]),
    pointer: &str,
    metadata: &ActionMetadata,
    scope: &CompileScope<'_>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Wanted {
    let mut wanted = Wanted {
        literal: Vec::new(),
        dynamic: Vec::new(),
    };
    for rule in &metadata.capabilities {
        let implied = match rule {
            CapabilityRule::File { access, parameter } => {
                let access = match Access::from(*access) {
                    Access::Read => "read",
                    Access::Write => "write",
                };
                let path = parameters.get(parameter).and_then(implied_path);
                path.map(|path| format!("fs:{access}:{path}"))
            }
            CapabilityRule::Url { parameter } => parameters.get(parameter).and_then(implied_host),
            CapabilityRule::Address { parameter } => match parameters.get(parameter) {
                Some(ParamValue::Literal(Value::String(address))) => needed(address),
                _ => None,
            },
            CapabilityRule::Program { parameter } => match parameters.get(parameter) {
                Some(ParamValue::Literal(Value::String(path))) if !path.is_empty() => {
                    Some(format!("process:{path}"))
                }
                _ => None,
            },
        };
        wanted.literal.extend(implied);
    }
    for (i, required) in requires.iter().enumerate() {
        let pointer = format!("{pointer}/requires/{i}");
        match required {
            ParamValue::Literal(Value::String(text)) => {
                match Capability::parse(text, Path::new("/")) {
                    Ok(_) => wanted.literal.push(text.clone()),
                    Err(error) => diagnostics.push(Diagnostic::error(
                        codes::CAPABILITY,
                        pointer,
                        error.to_string(),
                    )),
                }
            }
            ParamValue::Expression(_) | ParamValue::Template(_) => {
                match ParamProgram::compile(required, scope) {
                    Ok(program) => {
                        program.each_use("", &mut |found| {
                            Place::Requires.check(&found, &pointer, diagnostics);
                        });
                        wanted.dynamic.push(program);
                    }
                    Err(problems) => {
                        diagnostics.extend(
                            problems
                                .iter()
                                .map(|problem| crate::expressions::diagnostic(problem, &pointer)),
                        );
                    }
                }
            }
            _ => diagnostics.push(Diagnostic::error(
                codes::CAPABILITY,
                pointer,
                "a capability is text such as `fs:read:/var/log`",
            )),
        }
    }
    wanted
}

/// The path that a parameter certainly stays at or below: a literal path, or the folder part of the
/// text before the first expression.
fn implied_path(parameter: &ParamValue) -> Option<String> {
    match parameter {
        ParamValue::Literal(Value::String(path)) if !path.is_empty() => Some(path.clone()),
        ParamValue::Template(template) => {
            let folder = template.texts[0]
                .rfind('/')
                .map(|end| &template.texts[0][..end])?;
            Some(if folder.is_empty() {
                "/".to_owned()
            } else {
                folder.to_owned()
            })
        }
        _ => None,
    }
}

/// The capability for the host that a parameter certainly sends to: that of a literal URL, or of one
/// whose host is complete before the first expression.
fn implied_host(parameter: &ParamValue) -> Option<String> {
    let text = match parameter {
        ParamValue::Literal(Value::String(url)) => url.as_str(),
        ParamValue::Template(template) => {
            let text = &template.texts[0];
            let host = text.find("://")? + 3;
            &text[..host + text[host..].find(['/', '?', '#'])?]
        }
        _ => return None,
    };
    let url = Egress::url(text).ok()?;
    Some(Egress::needed(&url)?.to_string())
}

/// The capability for `host:port`.
fn needed(address: &str) -> Option<String> {
    let url = Egress::address(address).ok()?;
    Some(Egress::needed(&url)?.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(parameter: &str, expected: Option<&str>) {
        let parameter = ParamValue::parse(&json!(parameter)).unwrap();
        assert_eq!(implied_path(&parameter).as_deref(), expected);
    }

    #[test]
    fn a_path_implies_what_it_certainly_stays_below() {
        check("/var/log/dpkg.log", Some("/var/log/dpkg.log"));
        check("out/{{ $json.name }}.md", Some("out"));
        check("out/a-{{ $json.name }}/x", Some("out"));
        check("{{ $input.path }}", None);
        check("report-{{ $json.n }}.md", None);
    }

    fn check_url(parameter: &str, expected: Option<&str>) {
        let parameter = ParamValue::parse(&json!(parameter)).unwrap();
        assert_eq!(
            implied_host(&parameter).as_deref(),
            expected,
            "{parameter:?}"
        );
    }

    #[test]
    fn an_address_implies_its_host_and_port() {
        assert_eq!(
            needed("db.example:5432").as_deref(),
            Some("net:db.example:5432")
        );
        assert_eq!(needed("[::1]:80").as_deref(), Some("net:[::1]:80"));
        assert_eq!(needed("db.example"), None);
        assert_eq!(needed("db.example:5432/x"), None);
    }

    #[test]
    fn a_url_implies_the_host_that_it_certainly_goes_to() {
        check_url("https://api.example/v1", Some("net:api.example:443"));
        check_url("http://127.1:8080", Some("net:127.0.0.1:8080"));
        check_url(
            "https://api.example/{{ $json.id }}",
            Some("net:api.example:443"),
        );
        check_url(
            "https://api.example?q={{ $json.q }}",
            Some("net:api.example:443"),
        );
        check_url("https://api.example{{ $json.path }}", None);
        check_url("https://api.example:{{ $json.port }}/", None);
        check_url("https://{{ $json.host }}/", None);
        check_url("https://a@{{ $json.host }}/", None);
        check_url("https://user@api.example/{{ $json.id }}", None);
        check_url("{{ $input.url }}", None);
    }
}
