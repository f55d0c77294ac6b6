//! `nebula actions`: what nodes can name.

use nebula_action::{ActionKind, ActionMetadata, Catalog as _, CatalogMiss, Effect, VersionWanted};
use nebula_workflow::{ActionRef, nearest};
use serde_json::{Value, json};

use crate::{
    arguments::Actions,
    compose,
    console::{Console, Paint},
    failure::{Exit, Failure},
    settings::Loaded,
    table::table,
};

/// Runs `nebula actions`.
pub(crate) async fn run(
    command: &Actions,
    loaded: &Loaded,
    console: &Console,
) -> Result<Exit, Failure> {
    let offline = compose::offline(loaded).await?;
    let registry = offline.nebula.registry();
    match command {
        Actions::List => {
            let all: Vec<_> = registry
                .iter()
                .map(|action| action.action.metadata())
                .collect();
            if console.json {
                let list: Vec<Value> = all.iter().map(|metadata| brief(metadata)).collect();
                console.document(&json!({ "actions": list }))?;
            } else {
                let rows: Vec<_> = all.iter().map(|metadata| row(metadata)).collect();
                console.line(&table(&["ACTION", "EFFECT", "WHAT IT DOES"], &rows))?;
            }
        }
        Actions::Show { action } => {
            let wanted: ActionRef = action
                .parse()
                .map_err(|error| Failure::invalid("USAGE", format!("`{action}`: {error}")))?;
            let version = VersionWanted {
                major: wanted.version.map(|version| version.major),
                minor: wanted.version.and_then(|version| version.minor),
            };
            let found = registry.find(&wanted.id, version).map_err(|miss| {
                let failure =
                    Failure::invalid("UNKNOWN_ACTION", format!("there is no action `{action}`"));
                match miss {
                    CatalogMiss::Id => {
                        let ids = registry.ids();
                        match nearest(wanted.id.as_str(), ids.iter().map(|id| id.as_str())) {
                            Some(near) => failure.advice(format!("did you mean `{near}`?")),
                            None => failure.advice("`nebula actions list` shows all"),
                        }
                    }
                    CatalogMiss::Version(versions) => {
                        let versions: Vec<_> = versions.iter().map(ToString::to_string).collect();
                        failure.advice(format!("there are the versions {}", versions.join(", ")))
                    }
                }
            })?;
            if console.json {
                console.document(found)?;
            } else {
                console.line(&page(found, console))?;
            }
        }
    }
    Ok(Exit::Completed)
}

fn brief(metadata: &ActionMetadata) -> Value {
    json!({
        "id": metadata.id,
        "version": metadata.version,
        "title": metadata.title,
        "description": metadata.description,
        "effect": metadata.effect,
    })
}

fn row(metadata: &ActionMetadata) -> Vec<String> {
    let first = metadata.description.split_inclusive(['.', ':']).next();
    vec![
        format!("{}@{}", metadata.id, metadata.version),
        effect(metadata),
        first
            .unwrap_or_default()
            .trim_end_matches(['.', ':'])
            .to_owned(),
    ]
}

fn effect(metadata: &ActionMetadata) -> String {
    match (&metadata.effect, metadata.kind) {
        (_, ActionKind::Control(_)) => "control".to_owned(),
        (Effect::Fixed(class), ActionKind::Code) => class.as_str().to_owned(),
        (Effect::ByParameter { parameter, .. }, ActionKind::Code) => format!("by `{parameter}`"),
    }
}

fn page(metadata: &ActionMetadata, console: &Console) -> String {
    let bold = |text: &str| console.out.paint(Paint::Bold, text);
    let mut text = format!(
        "{}  {}\n{}\n\n{}  {}\n",
        bold(&format!("{}@{}", metadata.id, metadata.version)),
        metadata.title,
        metadata.description,
        bold("effect"),
        effect(metadata),
    );
    if let Effect::ByParameter { cases, absent, .. } = &metadata.effect {
        for (value, class) in cases {
            text.push_str(&format!("  {value}: {}\n", class.as_str()));
        }
        text.push_str(&format!("  not given: {}\n", absent.as_str()));
    }
    text.push_str(&format!(
        "{}\n{:#}\n",
        bold("parameters"),
        metadata.parameters
    ));
    text.push_str(&format!("{}\n{:#}", bold("result"), metadata.output));
    for example in &metadata.examples {
        text.push_str(&format!(
            "\n\n{}  {}\n  parameters {}\n  $json      {}\n  result     {}",
            bold("example"),
            example.title,
            example.parameters,
            example.json,
            example.output
        ));
    }
    text
}
