//! Expressions that a server evaluates: with its version and its limits.

use http::Method;
use nebula_expression::Mode;
use serde_json::{Value, json};

use super::{Line, data_of, each_line, mode_of};
use crate::{
    arguments::Expr,
    compose,
    console::Console,
    failure::{Exit, Failure},
    server::{Ask, Server},
    settings::{Loaded, Place},
};

/// What a server said: the answer as this command prints it, and whether there is no program.
struct Said {
    answer: Value,
    exit: Exit,
}

/// Runs `nebula expr --server`. Answers are those of `nebula expr`.
pub(crate) async fn there(
    arguments: &Expr,
    loaded: &Loaded,
    console: &Console,
) -> Result<Exit, Failure> {
    let Place::Server(url) = &loaded.place else {
        return Err(Failure::invalid("USAGE", "no server is named"));
    };
    let server = compose::server(loaded, url)?;
    let Some(expression) = &arguments.expression else {
        if arguments.batch {
            return batch(&server, console).await;
        }
        let message = "a conversation about expressions is held here, and no expression is given";
        return Err(Failure::invalid("USAGE", message)
            .advice("give EXPR or --batch, or leave --server out"));
    };
    let data = data_of(arguments)?;
    let said = evaluate(expression, &data, mode_of(arguments), &server).await?;
    if console.json {
        console.document(&said.answer)?;
    } else if let Some(value) = said.answer.get("ok") {
        console.line(&format!("{value:#}"))?;
    } else if said.exit == Exit::Completed {
        console.line("undefined")?;
    }
    if let Some(error) = said.answer.get("error") {
        let text = |key: &str| error[key].as_str().unwrap_or_default();
        let place = format!("bytes {} to {}", error["start"], error["end"]);
        let mut drawn = format!("error[{}]: {} ({place})", text("code"), text("message"));
        if error["hint"].is_string() {
            drawn.push_str(&format!("\n  {}", text("hint")));
        }
        console.error_text(&drawn);
    }
    Ok(said.exit)
}

/// One question for each line: a line that cannot be read is answered here.
async fn batch(server: &Server, console: &Console) -> Result<Exit, Failure> {
    let mut from = std::io::stdin().lock();
    let mut line = Vec::new();
    while let Some(read) = each_line(&mut from, &mut line)? {
        let answer = match read {
            Err(error) => super::answer(Err(error)),
            Ok(Line { expr, data, mode }) => evaluate(&expr, &data, mode, server).await?.answer,
        };
        console.json_line(&answer)?;
    }
    Ok(Exit::Completed)
}

async fn evaluate(
    expression: &str,
    data: &Value,
    mode: Mode,
    server: &Server,
) -> Result<Said, Failure> {
    let body = json!({ "expression": expression, "data": data, "mode": mode });
    let ask = Ask::new(Method::POST).at(["expressions", "evaluate"]);
    let answer = server.send(ask.json(&body)).await?;
    if let Some((code, mistake, hint)) = answer.mistake() {
        let exit = match mistake.phase.as_str() {
            "syntax" | "resolve" => Exit::Invalid,
            _ => Exit::Ended,
        };
        let error = json!({
            "code": code,
            "message": mistake.message,
            "start": mistake.start,
            "end": mistake.end,
            "hint": hint,
        });
        let answer = json!({ "error": error });
        return Ok(Said { answer, exit });
    }
    let told: Value = answer.good()?.json()?;
    let answer = match told["undefined"] == true {
        true => json!({ "undefined": true }),
        false => json!({ "ok": told["value"] }),
    };
    Ok(Said {
        answer,
        exit: Exit::Completed,
    })
}
