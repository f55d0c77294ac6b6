//! `nebula actions`: what nodes can name.

use http::Method;
use nebula_action::{
    ActionKind, ActionMetadata, Catalog as _, CatalogMiss, Effect, InterfaceVersion, VersionWanted,
};
use nebula_core::ActionId;
use nebula_workflow::{ActionRef, nearest};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    arguments::Actions,
    compose,
    console::{Console, Paint},
    failure::{Exit, Failure},
    server::{Ask, Server},
    settings::{Loaded, Place},
    table::table,
};

/// Runs `nebula actions`.
pub(crate) async fn run(
    command: &Actions,
    loaded: &Loaded,
    console: &Console,
) -> Result<Exit, Failure> {
    if let Place::Server(url) = &loaded.place {
        let server = compose::server(loaded, url)?;
        return there(command, &server, console).await;
    }
    let offline = compose::offline(loaded).await?;
    let registry = offline.nebula.registry();
    match command {
        Actions::List { .. } => {
            let all = registry.iter().map(|action| action.action.metadata());
            list(&all.map(Brief::from).collect::<Vec<_>>(), console)?;
        }
        Actions::Show { action, .. } => {
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
            show(found, console)?;
        }
    }
    Ok(Exit::Completed)
}

/// The actions of a server, which may have others.
async fn there(command: &Actions, server: &Server, console: &Console) -> Result<Exit, Failure> {
    let ask = Ask::new(Method::GET).at(["actions"]);
    match command {
        Actions::List { .. } => {
            let all: ActionList = server.get(ask).await?;
            list(&all.actions, console)?;
        }
        Actions::Show { action, .. } => {
            let found: ActionMetadata = server.get(ask.at([action.as_str()])).await?;
            show(&found, console)?;
        }
    }
    Ok(Exit::Completed)
}

#[derive(Debug, Deserialize)]
struct ActionList {
    actions: Vec<Brief>,
}

/// What a list says of an action.
#[derive(Debug, Serialize, Deserialize)]
struct Brief {
    id: ActionId,
    version: InterfaceVersion,
    title: String,
    description: String,
    effect: Effect,
    kind: ActionKind,
}

impl From<&ActionMetadata> for Brief {
    fn from(metadata: &ActionMetadata) -> Self {
        Self {
            id: metadata.id.clone(),
            version: metadata.version,
            title: metadata.title.clone(),
            description: metadata.description.clone(),
            effect: metadata.effect.clone(),
            kind: metadata.kind,
        }
    }
}

fn list(all: &[Brief], console: &Console) -> Result<(), Failure> {
    if console.json {
        return console.document(&json!({ "actions": all }));
    }
    let rows: Vec<_> = all.iter().map(row).collect();
    console.line(&table(&["ACTION", "EFFECT", "WHAT IT DOES"], &rows))
}

fn show(metadata: &ActionMetadata, console: &Console) -> Result<(), Failure> {
    match console.json {
        true => console.document(metadata),
        false => console.line(&page(metadata, console)),
    }
}

fn row(metadata: &Brief) -> Vec<String> {
    let first = metadata.description.split_inclusive(['.', ':']).next();
    vec![
        format!("{}@{}", metadata.id, metadata.version),
        effect(&metadata.effect, metadata.kind),
        first
            .unwrap_or_default()
            .trim_end_matches(['.', ':'])
            .to_owned(),
    ]
}

fn effect(effect: &Effect, kind: ActionKind) -> String {
    match (effect, kind) {
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
        effect(&metadata.effect, metadata.kind),
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
