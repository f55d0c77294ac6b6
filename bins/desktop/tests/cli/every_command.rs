//! Every command asks a server or says why not, and every route of a server has a command or a reason.

use std::{collections::BTreeSet, net::TcpListener};

use serde_json::Value;

use crate::{
    server::Desk,
    support::{Said, User},
};

const ID: &str = "0198c0de-0000-7000-8000-000000000000";

/// What each command needs to be understood; `{file}` is a definition, `{text}` any file.
const ASKED: &[(&str, &str)] = &[
    ("actions list", ""),
    ("actions show", "data.set"),
    ("approvals approve", ID),
    ("approvals defer", ID),
    ("approvals list", ""),
    ("approvals reject", ID),
    ("audit export", ""),
    ("audit list", ""),
    ("audit verify", ""),
    ("blobs get", "{id} 00"),
    ("blobs list", ID),
    ("config show", ""),
    ("credentials add", "till --type bearer"),
    ("credentials list", ""),
    ("credentials rm", "till"),
    ("credentials rotate", "till"),
    ("credentials test", "till"),
    ("credentials types", ""),
    ("credentials uses", "till"),
    ("doctor", ""),
    ("executions approve", ID),
    ("executions bulk", "cancel"),
    ("executions cancel", ID),
    ("executions defer", ID),
    ("executions list", ""),
    ("executions migrate", "{id} --to 2"),
    ("executions pause", ID),
    ("executions reject", ID),
    ("executions replay", ID),
    ("executions restart", ID),
    ("executions retry", ID),
    ("executions show", ID),
    ("executions signal", "{id} go"),
    ("executions unpark", "{id} --as failed"),
    ("executions unpause", ID),
    ("executions watch", ID),
    ("expr", "1"),
    ("incidents acknowledge", ID),
    ("incidents list", ""),
    ("incidents resolve", "{id} --resolution done"),
    ("incidents show", ID),
    ("invitations accept", "--token {text} --from {text}"),
    ("invitations list", ""),
    ("invitations make", "eve@example.org --role viewer"),
    ("invitations revoke", ID),
    ("keys list", ""),
    ("keys make", "deploy --lasts 1h"),
    ("keys revoke", "abcdefgh"),
    ("members list", ""),
    ("members rm", ID),
    ("members set", "{id} viewer"),
    ("plan", "{file}"),
    ("projects list", ""),
    ("projects put", "shop"),
    ("projects rm", "shop"),
    ("queue dead list", ""),
    ("queue dead redrive", ""),
    ("run", "{file}"),
    ("secrets list", ""),
    ("secrets rm", "till"),
    ("secrets set", "till"),
    ("sessions close", ""),
    ("sessions list", ""),
    ("setup", "ada --token {text} --from {text}"),
    ("tenants create", "acme"),
    ("tenants disable", "acme"),
    ("tenants enable", "acme"),
    ("tenants list", ""),
    ("tenants set", "acme --executions 5 --weight 3"),
    ("tenants setup", "acme"),
    ("tenants show", "acme"),
    (
        "triggers backfill",
        "greet daily --from 2026-03-14T00:00:00Z --to 2026-03-15T00:00:00Z",
    ),
    ("triggers fire", "greet daily"),
    ("triggers list", ""),
    ("triggers pause", "greet daily"),
    ("triggers rotate", "greet hook --grace 1h"),
    ("triggers unpause", "greet daily"),
    ("users add", "eve"),
    ("users disable", ID),
    ("users enable", ID),
    ("users list", ""),
    ("users password", "{id} --from {text}"),
    ("users rm", ID),
    ("users show", ID),
    ("validate", "{file}"),
    ("whoami", ""),
    ("workflows archive", "greet"),
    ("workflows diff", "greet@1 greet@2"),
    ("workflows list", ""),
    ("workflows move", "greet"),
    ("workflows publish", "greet@1"),
    ("workflows pull", "greet"),
    ("workflows push", "{file}"),
    ("workflows unarchive", "greet"),
    ("workflows versions", "greet"),
];

/// What no server answers. Each says why.
const ONLY_HERE: &[&str] = &[
    "blobs collect",
    "completions",
    "executions tokens",
    "login",
    "logout",
    "new",
    "rename",
    "resume",
    "schedule next",
    "secrets rotate",
    "serve",
];

/// The commands of which `--help` tells, to the last word.
fn leaves(user: &User, path: &str, found: &mut BTreeSet<String>) {
    let mut words: Vec<&str> = path.split(' ').filter(|word| !word.is_empty()).collect();
    words.push("--help");
    let help = user.nebula(&words).exits(0).out;
    let below = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let below: Vec<_> = below
        .take_while(|line| !line.is_empty())
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|word| *word != "help")
        .collect();
    for word in &below {
        leaves(user, format!("{path} {word}").trim(), found);
    }
    if below.is_empty() {
        found.insert(path.to_owned());
    }
}

fn ask(user: &User, path: &str, rest: &str, url: &str) -> Said {
    let words = format!("{path} {rest} --server {url}");
    let words: Vec<_> = words.split_whitespace().collect();
    user.nebula_with(&words, "correct horse battery\n")
}

/// Guards: a command that is added is one of the two, and those that ask do ask, and make nothing here.
#[test]
fn every_command_asks_a_server_or_says_why_not() {
    let user = User::new();
    let file = user.write(
        "greet.yaml",
        "id: greet\nnodes: [{ id: a, action: data.set }]\n",
    );
    let text = user.write("text.txt", "correct horse battery");
    let mut all = BTreeSet::new();
    leaves(&user, "", &mut all);
    let known = ASKED
        .iter()
        .map(|(path, _)| *path)
        .chain(ONLY_HERE.iter().copied());
    let known: BTreeSet<String> = known.map(str::to_owned).collect();
    assert_eq!(
        all, known,
        "say in one of the tables how a server is asked, or that none is"
    );

    // Nobody listens there any more.
    let gone = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let url = format!("http://{gone}");
    let (user, url) = (&user, &url);
    std::thread::scope(|scope| {
        for part in ASKED.chunks(ASKED.len().div_ceil(4)) {
            let (file, text) = (file.to_str().unwrap(), text.to_str().unwrap());
            scope.spawn(move || {
                for (path, rest) in part {
                    let rest = rest
                        .replace("{id}", ID)
                        .replace("{file}", file)
                        .replace("{text}", text);
                    let said = ask(user, path, &rest, url);
                    assert_eq!(said.code, Some(3), "{path}: {said:?}");
                    let all = format!("{}{}", said.out, said.err);
                    assert!(all.contains("cannot reach the server"), "{path}: {said:?}");
                }
            });
        }
    });
    for path in ONLY_HERE {
        let said = ask(user, path, "", url).exits(2);
        assert_eq!(said.error_code(), "NEEDS_NO_SERVER", "{path}");
        assert!(said.json()["error"]["hint"].is_string(), "{path}: {said:?}");
    }
    assert!(!user.database().exists(), "a database was made");
}

/// Each route with its command, or with why it has none.
const ROUTES: &[(&str, &str)] = &[
    ("GET /health/live", "- those who watch the process ask it"),
    ("GET /health/ready", "- those who watch the process ask it"),
    (
        "GET /api/v1/openapi.json",
        "- the document, for programs that make others",
    ),
    ("POST /api/v1/setup", "setup"),
    ("POST /api/v1/login", "login"),
    (
        "POST /api/v1/refresh",
        "- a login of this program keeps a key, which is not refreshed",
    ),
    ("GET /api/v1/oidc/login", "- browsers"),
    ("GET /api/v1/oidc/callback", "- browsers"),
    ("POST /api/v1/invitations/accept", "invitations accept"),
    ("POST /api/v1/logout", "login"),
    ("GET /api/v1/me", "whoami"),
    (
        "POST /api/v1/tickets",
        "- browsers, which can give a stream no header",
    ),
    ("PUT /api/v1/me/password", "users password"),
    ("GET /api/v1/users/{user}/sessions", "sessions list"),
    ("DELETE /api/v1/users/{user}/sessions", "sessions close"),
    (
        "DELETE /api/v1/users/{user}/sessions/{session}",
        "sessions close",
    ),
    ("GET /api/v1/users", "users list"),
    ("POST /api/v1/users", "users add"),
    ("GET /api/v1/users/{user}", "users show"),
    ("DELETE /api/v1/users/{user}", "users rm"),
    ("PUT /api/v1/users/{user}/disabled", "users disable"),
    ("PUT /api/v1/users/{user}/password", "users password"),
    ("GET /api/v1/users/{user}/keys", "keys list"),
    ("POST /api/v1/users/{user}/keys", "keys make"),
    ("DELETE /api/v1/keys/{key}", "keys revoke"),
    ("GET /api/v1/projects", "projects list"),
    ("PUT /api/v1/projects/{project}", "projects put"),
    ("DELETE /api/v1/projects/{project}", "projects rm"),
    ("GET /api/v1/projects/{project}/members", "members list"),
    (
        "PUT /api/v1/projects/{project}/members/{user}",
        "members set",
    ),
    ("GET /api/v1/members", "members list"),
    ("PUT /api/v1/members/{user}", "members set"),
    ("POST /api/v1/invitations", "invitations make"),
    ("GET /api/v1/invitations", "invitations list"),
    ("DELETE /api/v1/invitations/{user}", "invitations revoke"),
    ("GET /api/v1/tenants", "tenants list"),
    ("GET /api/v1/tenants/{tenant}", "tenants show"),
    ("PUT /api/v1/tenants/{tenant}", "tenants create"),
    ("POST /api/v1/tenants/{tenant}/setup", "tenants setup"),
    ("GET /api/v1/audit", "audit list"),
    ("GET /api/v1/audit/export", "audit export"),
    ("POST /api/v1/audit/verify", "audit verify"),
    ("GET /api/v1/workflows", "workflows list"),
    ("GET /api/v1/workflows/{workflow}", "workflows push"),
    ("PUT /api/v1/workflows/{workflow}", "workflows push"),
    ("POST /api/v1/definitions/check", "validate"),
    (
        "GET /api/v1/workflows/{workflow}/versions",
        "workflows versions",
    ),
    (
        "GET /api/v1/workflows/{workflow}/versions/{version}",
        "workflows pull",
    ),
    (
        "GET /api/v1/workflows/{workflow}/diff",
        "- `workflows diff` compares files as well, so it compares here",
    ),
    (
        "POST /api/v1/workflows/{workflow}/publish",
        "workflows publish",
    ),
    (
        "POST /api/v1/workflows/{workflow}/archive",
        "workflows archive",
    ),
    (
        "POST /api/v1/workflows/{workflow}/unarchive",
        "workflows unarchive",
    ),
    ("POST /api/v1/workflows/{workflow}/move", "workflows move"),
    ("GET /api/v1/workflows/{workflow}/triggers", "triggers list"),
    (
        "POST /api/v1/workflows/{workflow}/triggers/{trigger}/pause",
        "triggers pause",
    ),
    (
        "POST /api/v1/workflows/{workflow}/triggers/{trigger}/unpause",
        "triggers unpause",
    ),
    (
        "POST /api/v1/workflows/{workflow}/triggers/{trigger}/fire",
        "triggers fire",
    ),
    (
        "POST /api/v1/workflows/{workflow}/triggers/{trigger}/backfill",
        "triggers backfill",
    ),
    (
        "POST /api/v1/workflows/{workflow}/triggers/{trigger}/rotate",
        "triggers rotate",
    ),
    ("GET /hooks/{hook}", "- whoever a webhook is for"),
    ("PUT /hooks/{hook}", "- whoever a webhook is for"),
    ("POST /hooks/{hook}", "- whoever a webhook is for"),
    ("DELETE /hooks/{hook}", "- whoever a webhook is for"),
    ("PATCH /hooks/{hook}", "- whoever a webhook is for"),
    ("OPTIONS /hooks/{hook}", "- whoever a webhook is for"),
    ("POST /api/v1/executions", "run"),
    ("GET /api/v1/executions", "executions list"),
    ("POST /api/v1/executions/bulk", "executions bulk"),
    ("GET /api/v1/executions/{execution}", "executions show"),
    (
        "GET /api/v1/executions/{execution}/report",
        "executions show",
    ),
    (
        "GET /api/v1/executions/{execution}/output",
        "- a part of the report",
    ),
    (
        "GET /api/v1/executions/{execution}/journal",
        "executions watch",
    ),
    (
        "GET /api/v1/executions/{execution}/replay",
        "executions replay",
    ),
    (
        "GET /api/v1/executions/{execution}/replay/{seq}",
        "executions replay",
    ),
    ("GET /api/v1/executions/{execution}/blobs", "blobs list"),
    (
        "GET /api/v1/executions/{execution}/blobs/{digest}",
        "blobs get",
    ),
    (
        "GET /api/v1/executions/{execution}/events",
        "- a stream for pages; `executions watch` reads the journal",
    ),
    ("GET /api/v1/events", "- a stream for pages"),
    ("GET /api/v1/changes", "- a stream for pages"),
    (
        "POST /api/v1/executions/{execution}/cancel",
        "executions cancel",
    ),
    (
        "POST /api/v1/executions/{execution}/pause",
        "executions pause",
    ),
    (
        "POST /api/v1/executions/{execution}/unpause",
        "executions unpause",
    ),
    (
        "POST /api/v1/executions/{execution}/unpark",
        "executions unpark",
    ),
    (
        "POST /api/v1/executions/{execution}/signals",
        "executions signal",
    ),
    (
        "POST /api/v1/executions/{execution}/retry",
        "executions retry",
    ),
    (
        "POST /api/v1/executions/{execution}/restart",
        "executions restart",
    ),
    (
        "POST /api/v1/executions/{execution}/migrate",
        "executions migrate",
    ),
    ("GET /api/v1/approvals", "approvals list"),
    ("GET /api/v1/approvals/events", "- a stream for pages"),
    (
        "POST /api/v1/executions/{execution}/votes",
        "approvals approve",
    ),
    ("GET /resume/{token}", "approvals approve"),
    ("POST /resume/{token}", "approvals approve"),
    ("GET /api/v1/credential-types", "credentials types"),
    ("GET /api/v1/credentials", "credentials list"),
    ("PUT /api/v1/credentials/{credential}", "credentials add"),
    ("DELETE /api/v1/credentials/{credential}", "credentials rm"),
    (
        "POST /api/v1/credentials/{credential}/test",
        "credentials test",
    ),
    (
        "POST /api/v1/credentials/{credential}/authorize",
        "- browsers: whoever asks must come back in the same session",
    ),
    (
        "GET /api/v1/credentials/{credential}/callback",
        "- browsers",
    ),
    (
        "GET /api/v1/credentials/{credential}/uses",
        "credentials uses",
    ),
    ("GET /api/v1/secrets", "secrets list"),
    ("PUT /api/v1/secrets/{secret}", "secrets set"),
    ("DELETE /api/v1/secrets/{secret}", "secrets rm"),
    ("GET /api/v1/actions", "actions list"),
    ("GET /api/v1/actions/{action}", "actions show"),
    ("POST /api/v1/expressions/evaluate", "expr"),
    ("GET /api/v1/dead-letters", "queue dead list"),
    ("POST /api/v1/dead-letters/redrive", "queue dead redrive"),
    ("GET /api/v1/incidents", "incidents list"),
    ("GET /api/v1/incidents/{incident}", "incidents show"),
    (
        "POST /api/v1/incidents/{incident}/acknowledge",
        "incidents acknowledge",
    ),
    (
        "POST /api/v1/incidents/{incident}/resolve",
        "incidents resolve",
    ),
    ("GET /api/v1/settings", "config show"),
    ("GET /metrics", "- Prometheus"),
    ("GET /api/v1/state", "doctor"),
];

#[test]
fn every_route_has_a_command_or_a_reason() {
    let desk = Desk::logged_in();
    let (status, document) = desk.serving.ask("GET", "/api/v1/openapi.json", "", "");
    assert_eq!(status, 200);
    let mut routes = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, it) in methods.as_object().unwrap() {
            if matches!(it, Value::Object(it) if it.contains_key("responses")) {
                routes.insert(format!("{} {path}", method.to_uppercase()));
            }
        }
    }
    let known: BTreeSet<String> = ROUTES
        .iter()
        .map(|(route, _)| (*route).to_owned())
        .collect();
    assert_eq!(
        routes, known,
        "say which command asks a route, or who else does"
    );
    let commands = ASKED
        .iter()
        .map(|(path, _)| *path)
        .chain(ONLY_HERE.iter().copied());
    let commands: BTreeSet<_> = commands.collect();
    for (route, command) in ROUTES {
        assert!(
            command.starts_with("- ") || commands.contains(command),
            "{route}: there is no `{command}`"
        );
    }
}
