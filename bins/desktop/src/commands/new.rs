//! `nebula new`: a definition to begin with.

use std::{fs, io::Write as _, path::Path};

use nebula_workflow::nearest;
use serde_json::{Value, json};

use crate::{
    arguments::New,
    console::Console,
    failure::{Exit, Failure},
    shell::quoted,
    table::table,
};

/// A definition that a file can begin as.
struct Template {
    name: &'static str,
    text: &'static str,
}

const TEMPLATES: &[Template] = &[
    Template {
        name: "hello",
        text: include_str!("templates/hello.yaml"),
    },
    Template {
        name: "http",
        text: include_str!("templates/http.yaml"),
    },
    Template {
        name: "approval",
        text: include_str!("templates/approval.yaml"),
    },
    Template {
        name: "lifecycle-webhook",
        text: include_str!("templates/lifecycle-webhook.yaml"),
    },
];

impl Template {
    /// Its first line, which is a comment.
    fn about(&self) -> &'static str {
        let line = self.text.lines().next().unwrap_or_default();
        let about = line.trim_start_matches('#').trim();
        about.split_once(". ").map_or(about, |(first, _)| first)
    }
}

/// JSON: `{ "templates": [{ "template", "about" }] }` without a template, else `{ "template", "file" }`.
pub(crate) fn run(arguments: &New, console: &Console) -> Result<Exit, Failure> {
    let Some(name) = &arguments.template else {
        return list(console);
    };
    let names = TEMPLATES.iter().map(|it| it.name);
    let Some(template) = TEMPLATES.iter().find(|it| it.name == name) else {
        let shown: String = name.chars().take(80).collect();
        let failure = Failure::invalid(
            "UNKNOWN_TEMPLATE",
            format!("there is no template `{shown}`"),
        );
        return Err(match nearest(name, names) {
            Some(near) => failure.advice(format!("did you mean `{near}`?")),
            None => failure.advice("`nebula new` lists them"),
        });
    };
    let usual = format!("{name}.yaml");
    let file = arguments.file.as_deref().unwrap_or(Path::new(&usual));
    let failed = |error| Failure::file(file, "write", &error);
    let mut made = match fs::File::create_new(file) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            let message = format!("{} is there already", file.display());
            return Err(Failure::invalid("FILE_EXISTS", message)
                .advice("name another file: nebula new TEMPLATE FILE"));
        }
        made => made.map_err(failed)?,
    };
    made.write_all(template.text.as_bytes()).map_err(failed)?;
    if console.json {
        console.document(&json!({ "template": name, "file": file }))?;
    } else {
        console.line(&format!("{} is written", file.display()))?;
    }
    let file = quoted(&file.to_string_lossy());
    console.note(&format!("look at what it does with: nebula plan {file}"));
    Ok(Exit::Completed)
}

fn list(console: &Console) -> Result<Exit, Failure> {
    if console.json {
        let all = TEMPLATES
            .iter()
            .map(|it| json!({ "template": it.name, "about": it.about() }));
        let all: Vec<Value> = all.collect();
        console.document(&json!({ "templates": all }))?;
    } else {
        let rows: Vec<_> = TEMPLATES
            .iter()
            .map(|it| vec![it.name.to_owned(), it.about().to_owned()])
            .collect();
        console.line(&table(&["TEMPLATE", "WHAT IT DOES"], &rows))?;
    }
    Ok(Exit::Completed)
}
