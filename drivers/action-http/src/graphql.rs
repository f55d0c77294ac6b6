//! `http.graphql`.

use bytes::Bytes;
use http::{HeaderValue, Method, header};
use nebula_action::{ActionContext, ActionError, RequestBody, Size, origin_of};
use nebula_derive::Action;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{
    answer::{self, Reading},
    error,
    parameters::Pairs,
    send::{self, DEFAULT_SIZE, MAX_SIZE, Outgoing, Put},
};

/// How many characters of a server's own message an error repeats.
const MAX_MESSAGE: usize = 200;

/// Sends a GraphQL operation over HTTP.
///
/// The credential in the slot `auth` goes with the request, but only to the hosts that it is for.
///
/// `kind: mutation` says that it writes: the request carries the header `Idempotency-Key` then, the
/// same at every attempt. A document with a mutation is refused without it. An answer with `errors`
/// is an error of the node, unless `errors: keep` says that the result has them.
#[derive(Debug, Action)]
#[action(
    id = "http.graphql",
    version = "1.0",
    title = "GraphQL operation",
    effect(
        parameter = "kind",
        cases(query = "read", mutation = "keyed"),
        absent = "read",
    ),
    urls = ["url"],
    credentials(optional(
        auth = [
            "api_key",
            "basic",
            "bearer",
            "header",
            "oauth2_client_credentials",
            "oauth2_refresh",
            "oauth2_code"
        ]
    )),
    timeout = "60s"
)]
pub struct HttpGraphql;

/// The parameters of `http.graphql`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GraphqlIn {
    /// Where to, beginning with `http://` or `https://`.
    url: String,
    /// The document: one operation or several.
    query: String,
    /// Values of the operation's variables.
    #[serde(default)]
    variables: Map<String, Value>,
    /// Which operation, where the document has several.
    operation: Option<String>,
    /// Whether the operation reads or writes.
    #[serde(default)]
    kind: Kind,
    /// Headers. A list repeats its name, null leaves it out.
    #[serde(default)]
    headers: Pairs,
    /// What becomes of errors in the answer.
    #[serde(default)]
    errors: Errors,
    /// The largest answer, such as `64 MiB`; 16 MiB if nothing is said, at most 256 MiB.
    max_size: Option<Size>,
}

/// Whether an operation reads or writes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// It reads.
    #[default]
    Query,
    /// It writes.
    Mutation,
}

/// What becomes of errors in the answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Errors {
    /// The node fails.
    #[default]
    Fail,
    /// They stand in the result.
    Keep,
}

/// The result of `http.graphql`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct GraphqlOut {
    /// What the operation gave.
    data: Value,
    /// The errors of the answer; empty unless `errors: keep` is set.
    errors: Vec<Value>,
}

impl HttpGraphql {
    async fn run(&self, ctx: &ActionContext, input: GraphqlIn) -> Result<GraphqlOut, ActionError> {
        let writes = input.kind == Kind::Mutation;
        if !writes && has_mutation(&input.query) {
            let message = "the document has a mutation; say `kind: mutation`, so that it is not repeated as a read";
            return Err(ActionError::invalid_input("GRAPHQL_KIND", "/kind", message));
        }
        let url = send::url(&input.url)?;
        let mut headers = input.headers.headers()?;
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        if !headers.contains_key(header::ACCEPT) {
            let accepted = "application/graphql-response+json, application/json";
            headers.insert(header::ACCEPT, HeaderValue::from_static(accepted));
        }
        if writes {
            send::add_key(ctx, &mut headers)?;
        }
        let mut asked = json!({ "query": input.query, "variables": input.variables });
        if let Some(operation) = input.operation {
            asked["operationName"] = operation.into();
        }
        let out = Outgoing {
            method: Method::POST,
            url,
            headers,
            body: RequestBody::Bytes(Bytes::from(asked.to_string())),
            writes,
            max_redirects: 10,
            max_size: send::size(input.max_size.map(|size| size.0), (DEFAULT_SIZE, MAX_SIZE))?,
            follows: false,
            put: Put::Never,
        };
        let answer = send::send(ctx, out).await?;
        let origin = origin_of(&answer.url);
        // Servers send errors of the operation with 200, and, by the newer specification, with 4xx.
        let read = answer::read(answer.content.bytes()?, &answer.headers, Reading::Json);
        let mut body = match read {
            Ok(Value::Object(body)) if body.contains_key("data") || body.contains_key("errors") => {
                body
            }
            _ if !answer.status.is_success() => {
                return Err(error::of_status(answer.status, &answer.headers, &origin));
            }
            Err(error) => return Err(error),
            Ok(_) => {
                let message = format!("{origin} gave no GraphQL answer; check the URL");
                return Err(ActionError::fatal("GRAPHQL_NO_ANSWER", message));
            }
        };
        let errors = match body.shift_remove("errors") {
            Some(Value::Array(errors)) => errors,
            _ => Vec::new(),
        };
        if answer.status.is_server_error() || answer.status.as_u16() == 429 {
            return Err(error::of_status(answer.status, &answer.headers, &origin));
        }
        if let (Some(first), Errors::Fail) = (errors.first(), input.errors) {
            let said = first
                .get("message")
                .and_then(Value::as_str)
                .unwrap_or("no message");
            let said: String = said
                .chars()
                .filter(|c| !c.is_control())
                .take(MAX_MESSAGE)
                .collect();
            let message = format!(
                "{origin} answered with {} errors; the first: {said}",
                errors.len()
            );
            return Err(ActionError::fatal("GRAPHQL_ERRORS", message));
        }
        Ok(GraphqlOut {
            data: body.shift_remove("data").unwrap_or_default(),
            errors,
        })
    }
}

/// Whether some operation of the document is a mutation: the word stands outside of braces, strings
/// and comments.
fn has_mutation(document: &str) -> bool {
    let (mut depth, mut rest) = (0_usize, document);
    while let Some(c) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix("\"\"\"") {
            rest = after.split_once("\"\"\"").map_or("", |(_, after)| after);
            continue;
        }
        let word = rest
            .find(|c: char| !c.is_alphanumeric() && c != '_')
            .unwrap_or(rest.len());
        if word > 0 {
            if depth == 0 && &rest[..word] == "mutation" {
                return true;
            }
            rest = &rest[word..];
            continue;
        }
        rest = &rest[c.len_utf8()..];
        match c {
            '{' | '(' => depth += 1,
            '}' | ')' => depth = depth.saturating_sub(1),
            '#' => rest = rest.split_once(['\n', '\r']).map_or("", |(_, after)| after),
            '"' => rest = after_string(rest),
            _ => {}
        }
    }
    false
}

/// What follows a string, whose first quote was taken.
fn after_string(text: &str) -> &str {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            '\\' if !escaped => escaped = true,
            '"' if !escaped => return &text[at + 1..],
            _ => escaped = false,
        }
    }
    ""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mutation_is_found_where_it_is_an_operation() {
        for (document, expected) in [
            ("mutation { a }", true),
            ("query A { a } mutation B($x: Int = 1) { b }", true),
            ("# mutation\nmutation{a}", true),
            ("{ mutation }", false),
            ("query mutationOf { a }", false),
            ("query A($mutation: Int = 1) { a }", false),
            ("# mutation { a }\nquery { a }", false),
            ("query { a(text: \"} mutation {\") }", false),
            ("query { a(text: \"\"\"} \" mutation {\"\"\") }", false),
            ("query { a(text: \"\\\"} mutation {\") }", false),
        ] {
            assert_eq!(has_mutation(document), expected, "{document}");
        }
    }
}
