//! What a node may touch, as far as its literal parameters tell.

use std::path::Path;

use indexmap::IndexMap;
use nebula_action::{Access, ActionMetadata, Capability, CapabilityRule};
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
        let CapabilityRule::File { access, parameter } = rule;
        if let Some(path) = parameters.get(parameter).and_then(implied_path) {
            let access = match Access::from(*access) {
                Access::Read => "read",
                Access::Write => "write",
            };
            wanted.literal.push(format!("fs:{access}:{path}"));
        }
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
}
