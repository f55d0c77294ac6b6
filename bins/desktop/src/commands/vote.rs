//! `nebula executions approve`, `reject`, `defer` and `tokens`.

use std::cell::Cell;

use http::Method;
use nebula_core::{Entropy as _, ExecutionId, Timestamp};
use nebula_engine::{OpenApproval, Redeemed, Report, TokenError};
use nebula_execution::{Ballot, Choice, Fact, Refusal, ResumeToken, Signal};
use nebula_ports::Signalled;
use nebula_system::SystemEntropy;
use serde_json::{Value, json};

use crate::{
    arguments::Vote,
    commands::saying::Saying,
    compose,
    console::Console,
    ending,
    failure::{Exit, Failure},
    input,
    reach::Asked,
    server::{Ask, Server},
    session::Session,
    settings::{Loaded, Place},
    table::table,
    wanted::Wanted,
};

/// The longest token that is read, in bytes; it may have white space around it.
const MAX_TOKEN_BYTES: u64 = 1_024;

/// Casts the vote, then drives the execution on unless somebody else does.
pub(crate) async fn run(
    arguments: &Vote,
    choice: Choice,
    loaded: &Loaded,
    console: &Console,
) -> Result<Exit, Failure> {
    if let (Some(token), Place::Server(url)) = (&arguments.token, &loaded.place) {
        let server = compose::server(loaded, url)?.without_token();
        return by_link(arguments, choice, token, &server, console).await;
    }
    let (session, ballot, id) = match (&arguments.token, &arguments.id) {
        (Some(token), _) => by_token(arguments, choice, token, loaded).await?,
        (None, Some(id)) => {
            let (session, id) = Wanted::parse(id)?.open(loaded).await?;
            let open = find(arguments, &session, id).await?;
            let own = || SystemEntropy.uuid().to_string();
            let by = match session.is_there() {
                false => who(arguments)?,
                // Whoever is logged in, unless they speak for somebody else.
                true => arguments.by.clone().unwrap_or_default(),
            };
            let ballot = Ballot {
                by,
                id: arguments.dedupe.clone().unwrap_or_else(own),
                ..blank(&open, choice, arguments)
            };
            (session, ballot, id)
        }
        (None, None) => {
            let message = "say which execution asks, or give a --token";
            return Err(Failure::invalid("USAGE", message));
        }
    };
    cast(ballot, &session, id, console).await
}

/// A vote of nobody yet.
fn blank(open: &Asked, choice: Choice, arguments: &Vote) -> Ballot {
    Ballot {
        instance: open.instance.clone(),
        round: open.round,
        id: String::new(),
        by: String::new(),
        choice,
        comment: arguments.comment.clone(),
        seat: None,
        at: None,
    }
}

/// Who votes where no token says it.
fn who(arguments: &Vote) -> Result<String, Failure> {
    let user = || {
        let mut names = ["USER", "LOGNAME", "USERNAME"].into_iter();
        names.find_map(|name| nebula_system::variable(name)?.into_string().ok())
    };
    arguments.by.clone().or_else(user).ok_or_else(|| {
        let message = "nobody knows who votes: this user has no name";
        Failure::invalid("USAGE", message).advice("say it with --by NAME")
    })
}

/// What a token lets its holder say.
async fn by_token(
    arguments: &Vote,
    choice: Choice,
    text: &str,
    loaded: &Loaded,
) -> Result<(Session, Ballot, ExecutionId), Failure> {
    let token = token(text)?;
    let Some(session) = Session::open_existing(loaded).await? else {
        return Err(invalid(TokenError::Invalid));
    };
    let here = session.here()?;
    let redeemed = here.nebula.engine().redeem(&session.tenant, &token).await;
    let Redeemed { open, seat } = redeemed.map_err(invalid)?;
    let by = match (seat.who, &arguments.by) {
        (Some(who), Some(by)) if who != *by => {
            let message = format!("this token is for `{who}`, and --by says `{by}`");
            return Err(Failure::invalid("NOT_AN_APPROVER", message).advice("leave --by out"));
        }
        (Some(who), _) => who,
        (None, _) => who(arguments)?,
    };
    let ballot = Ballot {
        by,
        id: format!("token:{}", seat.number),
        seat: Some(seat.number),
        ..blank(&Asked::from(&open), choice, arguments)
    };
    possible(&open, &ballot, session.clock.now())?;
    Ok((session, ballot, open.execution))
}

fn token(text: &str) -> Result<ResumeToken, Failure> {
    let text = input::text(text, "--token", MAX_TOKEN_BYTES)?;
    text.parse()
        .map_err(|error| Failure::invalid("TOKEN_INVALID", format!("--token: {error}")))
}

/// Votes at a server with the token of a link, which is all that it asks for. Whoever has only that may not
/// look at the execution, so the command does not wait for it. JSON: `{ "execution", "seq", "duplicate" }`.
async fn by_link(
    arguments: &Vote,
    choice: Choice,
    text: &str,
    server: &Server,
    console: &Console,
) -> Result<Exit, Failure> {
    let token = token(text)?.reveal();
    let link = Ask::new(Method::GET)
        .beside()
        .at(["resume", token.as_str()]);
    let asked: Value = server.get(link).await?;
    let mut body = json!({ "choice": choice });
    match (asked["who"].as_str(), &arguments.by) {
        (_, Some(by)) => body["by"] = by.as_str().into(),
        (None, None) => body["by"] = who(arguments)?.into(),
        (Some(_), None) => {}
    }
    if let Some(comment) = &arguments.comment {
        body["comment"] = comment.as_str().into();
    }
    let link = Ask::new(Method::POST).beside();
    let link = link.at(["resume", token.as_str()]).json(&body);
    let said: Value = server.get(link).await?;
    match console.json {
        true => console.document(&said)?,
        false => console.line("your vote is written down")?,
    }
    Ok(Exit::Completed)
}

fn invalid(error: TokenError) -> Failure {
    match error {
        TokenError::Store(error) => error.into(),
        error => Failure::invalid("TOKEN_INVALID", error.to_string())
            .advice("`nebula executions list --waiting` shows what is asked; `nebula executions tokens ID` gives the tokens that are valid"),
    }
}

/// Which open approval is meant.
async fn find(arguments: &Vote, session: &Session, id: ExecutionId) -> Result<Asked, Failure> {
    let open = session.reach.asked(id).await?;
    let mut open = open.ok_or_else(|| session.unknown(id))?;
    let names: Vec<String> = open.iter().map(|it| it.instance.to_string()).collect();
    match (&arguments.node, names.as_slice()) {
        (Some(node), _) => match names.iter().position(|name| name == node) {
            Some(place) => Ok(open.swap_remove(place)),
            None => Err(not_open(Some(node), &names, session, id).await?),
        },
        (None, [_]) => Ok(open.swap_remove(0)),
        (None, []) => Err(not_open(None, &names, session, id).await?),
        (None, _) => {
            let message = format!("{id} asks several things");
            Err(Failure::invalid("USAGE", message)
                .advice(format!("name one of: {}", names.join(", "))))
        }
    }
}

/// Why nothing is asked there.
async fn not_open(
    node: Option<&str>,
    open: &[String],
    session: &Session,
    id: ExecutionId,
) -> Result<Failure, Failure> {
    let report = session.report(id).await?;
    if let Some(decided) = node.and_then(|node| decided(&report, node)) {
        return Ok(decided);
    }
    if report.status.is_terminal() {
        let message = format!("{id} has ended: {}", ending::words(report.status));
        return Ok(Failure::invalid("EXECUTION_ENDED", message)
            .advice("`nebula executions list --waiting` shows what is asked elsewhere"));
    }
    let what = node.map_or_else(|| id.to_string(), |node| format!("`{node}` of {id}"));
    let failure = Failure::invalid("NO_APPROVAL", format!("{what} asks nobody"));
    Ok(failure.advice(match open {
        [] => "`nebula executions list --waiting` shows what waits for whom".to_owned(),
        open => format!("open are: {}", open.join(", ")),
    }))
}

/// What was decided at a node that asked before.
fn decided(report: &Report, node: &str) -> Option<Failure> {
    let instance: nebula_execution::InstanceId = node.parse().ok()?;
    let outer = instance.enclosing().map(|outer| outer.node.as_str());
    let mut path: Vec<_> = outer.collect();
    path.reverse();
    path.push(instance.node.as_str());
    let shown = report.nodes.get(&path.join("/"))?.iter();
    let mut ended = shown.filter(|it| match it.get("instance") {
        Some(shown) => shown == node,
        None => it["activation"] == json!(instance.activation),
    });
    let last = ended.next_back()?;
    let (id, output) = (report.execution, &last["output"]);
    let decision = output.get("decision")?.as_str()?;
    let by = output["by"].as_array().into_iter().flatten();
    let by: Vec<_> = by.filter_map(Value::as_str).collect();
    let by = match by.as_slice() {
        [] => "its default, when its time was over".to_owned(),
        by => by.join(", "),
    };
    let at = output["at"].as_str().unwrap_or_default();
    let message = format!("`{node}` of {id} was decided: {decision} by {by} at {at}");
    Some(
        Failure::invalid("ALREADY_DECIDED", message)
            .advice("nothing is changed by saying it again"),
    )
}

/// Whether the vote would count as things stand, so that nothing is written in vain.
pub(crate) fn possible(
    open: &OpenApproval,
    ballot: &Ballot,
    now: Timestamp,
) -> Result<(), Failure> {
    if let Err(error) = ballot.check() {
        return Err(Failure::invalid("USAGE", error.to_string()));
    }
    match open.approval.refusal(ballot, now) {
        None => Ok(()),
        Some(why) => Err(refused(why, ballot, &open.into(), open.execution)),
    }
}

fn refused(why: Refusal, ballot: &Ballot, open: &Asked, id: ExecutionId) -> Failure {
    let (node, by) = (&open.instance, &ballot.by);
    match why {
        Refusal::NotOpen => {
            let message = format!("`{node}` of {id} is decided, or its time is over");
            Failure::invalid("ALREADY_DECIDED", message).advice(format!(
                "`nebula executions show {id}` says what became of it"
            ))
        }
        Refusal::NotAnApprover => {
            let message = format!("`{by}` may not vote on `{node}` of {id}");
            let names = open.approvers.join(", ");
            Failure::invalid("NOT_AN_APPROVER", message).advice(format!("those who may: {names}"))
        }
        Refusal::VotedBefore => {
            let message = format!("`{by}` has voted on `{node}` of {id} before");
            Failure::invalid("VOTED_BEFORE", message)
                .advice("a person counts once; ask another one")
        }
    }
}

async fn cast(
    ballot: Ballot,
    session: &Session,
    id: ExecutionId,
    console: &Console,
) -> Result<Exit, Failure> {
    let saying = Saying::to(session, id, console).await?;
    let open = session.reach.asked(id).await?;
    let open = open
        .into_iter()
        .flatten()
        .find(|it| it.instance == ballot.instance);
    let vote = Signal::Vote(Box::new(ballot.clone()));
    match session.reach.signal(id, &vote).await? {
        Signalled::Delivered { .. } => {}
        Signalled::Duplicate { .. } => {
            console.note("a vote with this id came before; this one has no effect");
            return ending::settled(&saying.before, None, &session.place, console);
        }
        Signalled::Unknown => return Err(session.unknown(id)),
        Signalled::Terminal(status) => {
            let message = format!("{id} has ended: {}", ending::words(status));
            return Err(Failure::invalid("EXECUTION_ENDED", message)
                .advice("`nebula executions list --waiting` shows what is asked elsewhere"));
        }
    }
    let refusal = Cell::new(None);
    let said = |fact: &Fact| match fact {
        Fact::VoteCast { id, instance, .. } => *id == ballot.id && *instance == ballot.instance,
        Fact::VoteRefused {
            id, instance, why, ..
        } => {
            let ours = *id == ballot.id && *instance == ballot.instance;
            refusal.set(refusal.get().or(ours.then_some(*why)));
            ours
        }
        // While it ends, nobody takes votes any more.
        Fact::CancellationRequested { .. } => true,
        _ => false,
    };
    let answer = || match (refusal.get(), &open) {
        (Some(why), Some(open)) => Err(refused(why, &ballot, open, id)),
        _ => Ok(()),
    };
    saying.drive_on(said, answer).await
}

/// Prints the tokens of the places that are free. JSON: `{ "tokens": [{ "instance", "seat", "who",
/// "token" }] }`, where `who` is null if anybody may vote.
pub(crate) async fn tokens(
    session: &Session,
    id: ExecutionId,
    node: Option<&str>,
    console: &Console,
) -> Result<Exit, Failure> {
    let engine = session.here()?.nebula.engine();
    let open = session.reach.asked(id).await?;
    let names = open.ok_or_else(|| session.unknown(id))?;
    let names: Vec<String> = names.iter().map(|it| it.instance.to_string()).collect();
    if names.is_empty() || node.is_some_and(|node| names.iter().all(|name| name != node)) {
        return Err(not_open(node, &names, session, id).await?);
    }
    let tokens = engine.resume_tokens(&session.tenant, id).await;
    let tokens = tokens.map_err(invalid)?.into_iter();
    let wanted = tokens.filter(|it| node.is_none_or(|node| it.instance.to_string() == node));
    let wanted: Vec<_> = wanted.collect();
    if console.json {
        let list = wanted.iter().map(|it| {
            json!({
                "instance": it.instance.to_string(),
                "seat": it.seat.number,
                "who": it.seat.who,
                "token": it.token.reveal(),
            })
        });
        let list: Vec<Value> = list.collect();
        console.document(&json!({ "tokens": list }))?;
        return Ok(Exit::Completed);
    }
    let rows = wanted.iter().map(|it| {
        let who = it.seat.who.clone();
        let who = who.unwrap_or_else(|| format!("anybody ({})", it.seat.number + 1));
        vec![it.instance.to_string(), who, it.token.reveal()]
    });
    let rows: Vec<_> = rows.collect();
    console.line(&table(&["NODE", "WHO", "TOKEN"], &rows))?;
    Ok(Exit::Completed)
}
