//! `nebula run`: check everything, start, wait for the end.

use std::{cell::OnceCell, path::Path};

use nebula_core::{ExecutionId, Labels, duration_text};
use nebula_engine::{AdmissionError, Engine, InstallError, Installed, Report, StartError, Started};
use nebula_execution::{ExecutionPlan, StartOptions, Status};
use nebula_ports::{Saved, StoredWorkflow};
use nebula_system::Urgency;
use nebula_workflow::{Diagnostic, LocatedDiagnostic, Severity, Source, parse, render};
use serde_json::{Value, json};

use crate::{
    arguments::Run,
    commands::trial,
    compose::{self, Composed},
    console::{Console, Paint},
    definition::{self, Checked},
    ending,
    failure::{Exit, Failure},
    grants::{self, Asker, Given},
    input, named_credentials,
    progress::{self, Picture},
    reach::NewStart,
    session::{Driven, Session},
    settings::{Loaded, Place},
    version::{self, VersionWanted, Which},
};

/// Runs `nebula run`.
pub(crate) async fn run(
    arguments: &Run,
    mut loaded: Loaded,
    console: &Console,
) -> Result<Exit, Failure> {
    let there = matches!(loaded.place, Place::Server(_));
    if arguments.detach && !there {
        let message = "--detach leaves the run to a running engine, and no server is named";
        return Err(Failure::environment("NO_ENGINE", message)
            .advice("run it without --detach, or on a server: --server URL"));
    }
    if arguments.ephemeral {
        loaded.place = Place::Memory;
    }
    let path = Path::new(&arguments.target);
    match VersionWanted::parse(&arguments.target) {
        Ok(wanted) if !definition::names_a_file(path) => {
            if trial::is_wanted(arguments) {
                let message = "a trial needs the workflow's file: it changes what is planned";
                let advice = format!("write it with: nebula workflows pull {}", wanted.id);
                return Err(Failure::invalid("USAGE", message).advice(advice));
            }
            Box::pin(run_installed(arguments, &wanted, &loaded, console)).await
        }
        _ if there && trial::is_wanted(arguments) => {
            let message = "a trial runs on this machine alone: a server runs what is saved there";
            Err(Failure::invalid("USAGE", message).advice(
                "leave --server out, and unset NEBULA_SERVER; or run the whole file there, without --until, --only, --pin and --dry-run",
            ))
        }
        _ if there => Box::pin(run_file_there(arguments, path, &loaded, console)).await,
        _ => Box::pin(run_file(arguments, path, &loaded, console)).await,
    }
}

/// Everything is checked before the database is opened, so that nothing is written for nothing.
async fn run_file(
    arguments: &Run,
    path: &Path,
    loaded: &Loaded,
    console: &Console,
) -> Result<Exit, Failure> {
    let offline = compose::offline(loaded).await?;
    let engine = offline.nebula.engine();
    let checked = definition::check(path, (engine, loaded), console).await?;
    if !checked.drawn.is_empty() {
        console.note(&checked.drawn);
    }
    let prepared = if trial::is_wanted(arguments) {
        Some(trial::prepare(arguments, &checked, (engine, loaded), console).await?)
    } else {
        None
    };
    let plan = prepared.as_ref().map_or(&checked.plan, |it| &it.plan);
    let input = checked_input(arguments, plan, engine, loaded)?;
    let placed = (Some(&checked), &*checked.folder);
    check_credentials(&offline, plan, &input, placed, loaded, console).await?;
    let mut options = options(
        arguments,
        plan,
        &input,
        (Some(&checked), &checked.folder),
        (engine, loaded),
        console,
    )?;
    drop(offline);

    let session = Session::open(loaded).await?;
    let (engine, tenant) = (session.here()?.nebula.engine(), &session.tenant);
    let installed = match prepared {
        None => engine.install(tenant, &checked.definition).await,
        Some(prepared) => {
            options.trial = Some(prepared.tries);
            engine.unsaved(tenant, &prepared.definition).await
        }
    };
    let installed = installed.map_err(not_installed)?;
    start(&session, &installed, input, options, console).await
}

/// Runs a version that was saved before; where none is named, the published one, or else the draft.
async fn run_installed(
    arguments: &Run,
    wanted: &VersionWanted,
    loaded: &Loaded,
    console: &Console,
) -> Result<Exit, Failure> {
    let id = &wanted.id;
    let absent = |failure| version::neither(failure, id);
    let session = version::open(loaded, id).await.map_err(absent)?;
    let found = wanted.find(&session, |workflow| {
        workflow.published.unwrap_or(workflow.latest)
    });
    let (workflow, stored) = found.await.map_err(absent)?;
    let version = stored.version;
    if wanted.which == Which::Any && workflow.published.is_none() {
        console.note(&format!(
            "no version of `{id}` is published; this is its draft, version {version}"
        ));
    }
    if session.is_there() {
        let version =
            (wanted.which != Which::Any || workflow.published.is_none()).then_some(version);
        return run_there(arguments, (&stored, version), &session, loaded, console).await;
    }
    let here_engine = session.here()?.nebula.engine();
    let installed = here_engine
        .installed(&session.tenant, id, Some(version))
        .await
        .map_err(not_installed)?
        .ok_or_else(|| version::unknown_version(id, version))?;
    let input = checked_input(arguments, &installed.plan, here_engine, loaded)?;
    let here =
        std::env::current_dir().map_err(|error| Failure::file(Path::new("."), "find", &error))?;
    let composed = session.here()?;
    check_credentials(
        composed,
        &installed.plan,
        &input,
        (None, &here),
        loaded,
        console,
    )
    .await?;
    let engine = (here_engine, loaded);
    let options = options(
        arguments,
        &installed.plan,
        &input,
        (None, &here),
        engine,
        console,
    )?;
    start(&session, &installed, input, options, console).await
}

/// Saves a file at the server as the newest version, as running one here does, and starts that version.
/// Whoever may publish may do so: what its nodes ask for is granted to it.
async fn run_file_there(
    arguments: &Run,
    path: &Path,
    loaded: &Loaded,
    console: &Console,
) -> Result<Exit, Failure> {
    let (source, definition) = definition::parsed(path, console)?;
    let (session, id) = (Session::open(loaded).await?, &definition.id);
    let before = session.reach.versions(id, 0).await?;
    let revision = before.as_ref().map_or(0, |it| it.workflow.revision);
    let saved = session.reach.save(&source, &definition, Some(revision));
    let (version, new) = match saved.await? {
        Saved::New { version, .. } => (version, true),
        Saved::Unchanged { version, .. } => (version, false),
        Saved::Conflict { .. } => {
            let message = format!("somebody else saved or published `{id}` meanwhile");
            return Err(Failure::invalid("WORKFLOW_CONFLICT", message)
                .advice("look at what there is, and run it again"));
        }
    };
    if new {
        console.note(&format!("{} saved as {id}@{version}", path.display()));
    }
    let stored = session.reach.stored(id, version).await?;
    let stored = stored.ok_or_else(|| version::unknown_version(id, version))?;
    let started = (&stored, Some(version));
    run_there(arguments, started, &session, loaded, console).await
}

/// Starts a version at the server, which checks the input and grants what its publication granted; then
/// waits for its end, unless that is left to others.
async fn run_there(
    arguments: &Run,
    (stored, version): (&StoredWorkflow, Option<u32>),
    session: &Session,
    loaded: &Loaded,
    console: &Console,
) -> Result<Exit, Failure> {
    if arguments.grant_requested || !arguments.grant.is_empty() {
        let message = "a server grants what was published, and nothing else";
        return Err(Failure::invalid("USAGE", message).advice(
            "leave the grants out; `nebula workflows publish` grants what a version asks for",
        ));
    }
    let schema = stored.definition.get("input").unwrap_or(&Value::Null);
    let input = gathered(arguments, schema, loaded)?;
    let begin = async {
        let started = session.reach.start(NewStart {
            workflow: &stored.id,
            version,
            input,
            priority: arguments.priority,
            labels: labels(&arguments.label)?,
        });
        Ok(begins(session, started.await?, console).await)
    };
    if arguments.detach {
        let id = begin.await?;
        match console.json {
            true => console.document(&json!({ "execution": id, "status": Status::Queued }))?,
            false => console.line(&id.to_string())?,
        }
        return Ok(Exit::Completed);
    }
    let picture = Picture::of_nodes(stored.id.as_str(), session.bus());
    Box::pin(drive(session, picture, begin, console)).await
}

/// Labels as they were given.
pub(crate) fn labels(given: &[String]) -> Result<Labels, Failure> {
    Labels::of_texts(given.iter().map(String::as_str))
        .map_err(|error| Failure::invalid("USAGE", format!("--label: {error}")))
}

/// The input as it was given, by the schema that it is to fit.
fn gathered(arguments: &Run, schema: &Value, loaded: &Loaded) -> Result<Value, Failure> {
    let limit = loaded.settings.engine.max_input.as_u64();
    let fields: Vec<String> =
        [arguments.input.as_slice(), arguments.more_input.as_slice()].concat();
    input::gather(arguments.input_json.as_deref(), &fields, schema, limit)
}

fn checked_input(
    arguments: &Run,
    plan: &ExecutionPlan,
    engine: &Engine,
    loaded: &Loaded,
) -> Result<Value, Failure> {
    let input = gathered(arguments, &plan.input_schema, loaded)?;
    engine.input(plan, input).map_err(not_started)
}

/// What would fail at a node for its credential fails here, before anything is asked or begun.
async fn check_credentials(
    composed: &Composed,
    plan: &ExecutionPlan,
    input: &Value,
    (checked, folder): (Option<&Checked>, &Path),
    loaded: &Loaded,
    console: &Console,
) -> Result<(), Failure> {
    let requests = composed.nebula.engine().requests(plan, input, folder);
    let requests = requests.map_err(unknown_capability)?;
    let asker = named_credentials::Asker {
        plan,
        definition: checked.map(|checked| &checked.definition),
        registry: composed.nebula.registry(),
        requests: Some(&requests),
        folder,
    };
    let problems = named_credentials::problems(&asker, Severity::Error, loaded).await?;
    if problems.is_empty() {
        return Ok(());
    }
    let (located, drawn) = place(checked, plan, &problems, console);
    Err(named_credentials::refused(plan, &problems).diagnostics(located, drawn))
}

/// Problems with their places in the source, where there is one, and drawn there.
fn place(
    checked: Option<&Checked>,
    plan: &ExecutionPlan,
    problems: &[Diagnostic],
    console: &Console,
) -> (Vec<LocatedDiagnostic>, String) {
    match checked {
        Some(checked) => (
            checked.map.locate_all(problems, &checked.source),
            render(problems, &checked.source, &checked.map, console.err.0),
        ),
        None => {
            let source = Source::new(plan.workflow.as_str(), "");
            let located = parse(&source).map.locate_all(problems, &source);
            (located, String::new())
        }
    }
}

fn unknown_capability(error: impl std::fmt::Display) -> Failure {
    Failure::invalid("CAPABILITY_UNKNOWN", error.to_string())
        .advice("look at `requires` of that node and at the input")
}

/// Settles the grants and says where relative paths begin.
fn options(
    arguments: &Run,
    plan: &ExecutionPlan,
    input: &Value,
    (checked, folder): (Option<&Checked>, &Path),
    (engine, loaded): (&Engine, &Loaded),
    console: &Console,
) -> Result<StartOptions, Failure> {
    let requests = engine.requests(plan, input, folder);
    let mut requests = requests.map_err(unknown_capability)?;
    // Places are those of the whole definition, of which a trial has a part.
    let whole = checked.map_or(plan, |checked| &checked.plan);
    for request in &mut requests {
        let there = whole.index_of(plan.node(request.node).id.as_str());
        request.node = there.unwrap_or(request.node);
    }
    let asker = Asker {
        workflow: &plan.workflow,
        plan: whole,
        requests: &requests,
        file: checked.map(|checked| checked.file.as_path()),
        config: &loaded.folders.config,
        protected: &compose::protected(loaded),
        place: &|problems| place(checked, plan, problems, console),
    };
    let given = Given {
        listed: &arguments.grant,
        requested: arguments.grant_requested,
    };
    Ok(StartOptions {
        grants: grants::settle(&asker, &given, console)?,
        folder: Some(folder.to_owned()),
        vars: Value::Object(loaded.settings.vars.clone().into_iter().collect()),
        priority: arguments.priority,
        labels: labels(&arguments.label)?,
        ..StartOptions::default()
    })
}

async fn start(
    session: &Session,
    installed: &Installed,
    input: Value,
    options: StartOptions,
    console: &Console,
) -> Result<Exit, Failure> {
    let nebula = &session.here()?.nebula;
    let started = async {
        let started = nebula.admit(&session.tenant, installed, input, options);
        let started = started.await.map_err(not_started)?;
        Ok(begins(session, started, console).await)
    };
    let picture = Picture::of_plan(&installed.plan, session.bus());
    Box::pin(drive(session, picture, started, console)).await
}

/// Says when a new execution begins, if not at once, and sees to those that make way for it.
pub(crate) async fn begins(session: &Session, started: Started, console: &Console) -> ExecutionId {
    if let Some(before) = started.waits_behind {
        its_turn(session, before, console);
    }
    if let Some(at) = started.begins_at {
        console.note(&format!("it begins at {at}, when `rate_limit` lets it"));
        go_on_later(session, console);
    }
    for execution in started.cancelled {
        console.note(&format!("{execution} is asked to end for it"));
        session.focus(execution);
        session.wake(execution).await;
    }
    started.id
}

/// Says that an execution has to wait for others of its workflow.
fn its_turn(session: &Session, before: u32, console: &Console) {
    let before = match before {
        0 => String::new(),
        before => format!(", behind {before} that wait"),
    };
    console.note(&format!("it begins when it is its turn{before}"));
    go_on_later(session, console);
}

/// Says how to see what is before an execution that waits for its begin, and how it goes on.
fn go_on_later(session: &Session, console: &Console) {
    let label = console.err.paint(Paint::Cyan, "what to do:");
    let flag = session.place.flag();
    console.note(&format!(
        "  {label} nebula executions list{flag} shows what is before it; what was stopped goes on with nebula resume{flag}"
    ));
}

/// Starts an execution and waits until it has ended, needs a person, or a signal comes.
pub(crate) async fn drive(
    session: &Session,
    picture: Picture,
    start: impl Future<Output = Result<ExecutionId, Failure>>,
    console: &Console,
) -> Result<Exit, Failure> {
    let clock = &session.clock;
    let (begun, id) = (clock.monotonic(), OnceCell::<ExecutionId>::new());
    let driven = session
        .drive(console, async {
            let started = start.await?;
            let execution = *id.get_or_init(|| started);
            if !console.live {
                console.note(&format!("execution {execution}"));
            }
            session.focus(execution);
            wait(session, execution, picture, console).await
        })
        .await?;
    let elapsed = clock.monotonic() - begun;
    match driven {
        Driven::Done(report) => ending::settled(&report, Some(elapsed), &session.place, console),
        Driven::Stopped(request) => interrupted(session, request, id.get().copied(), console).await,
    }
}

/// Waits under the live picture.
pub(crate) async fn wait(
    session: &Session,
    id: ExecutionId,
    mut picture: Picture,
    console: &Console,
) -> Result<Report, Failure> {
    let clock = session.clock.clone();
    let report = tokio::select! {
        biased;
        report = session.settled(id) => report,
        () = progress::show(&mut picture, id, clock, *console) => session.settled(id).await,
    }?;
    progress::say_rest(&picture, &report, console);
    Ok(report)
}

/// Says how far it came. What ended within the grace period has ended.
pub(crate) async fn interrupted(
    session: &Session,
    request: nebula_system::ShutdownRequest,
    id: Option<ExecutionId>,
    console: &Console,
) -> Result<Exit, Failure> {
    let Some(execution) = id.filter(|_| request.urgency == Urgency::Graceful) else {
        return Ok(ending::stopped(request, id, &session.place, console));
    };
    let report = session.report(execution).await?;
    if report.status.is_terminal() {
        return ending::settled(&report, None, &session.place, console);
    }
    let exit = ending::stopped(request, id, &session.place, console);
    if console.json {
        console.document(&report)?;
    }
    Ok(exit)
}

/// Why a definition that was checked could not be installed.
pub(crate) fn not_installed(error: InstallError) -> Failure {
    match error {
        InstallError::Store(error) => error.into(),
        InstallError::Archived(id) => {
            let message = format!("the workflow `{id}` is archived, so nothing of it is started");
            Failure::invalid("WORKFLOW_ARCHIVED", message)
                .advice(format!("take it back: nebula workflows unarchive {id}"))
        }
        InstallError::Diagnostics(problems) => {
            let source = Source::new("", "");
            let located = parse(&source).map.locate_all(&problems, &source);
            let message = match problems.first() {
                Some(first) => format!(
                    "the installed workflow cannot run any more: {}",
                    first.message
                ),
                None => "the installed workflow cannot run any more".to_owned(),
            };
            Failure::invalid("DEFINITION_INVALID", message)
                .advice("correct its file and run that")
                .diagnostics(located, String::new())
        }
    }
}

/// Why `admission` lets no execution begin.
pub(crate) fn not_admitted(error: &AdmissionError) -> Failure {
    let message = error.to_string();
    match error {
        AdmissionError::Full { try_after, .. } => {
            let after = duration_text(*try_after);
            Failure::environment("ADMISSION_FULL", message)
                .advice(format!("try again after {after}; `nebula executions list --status running` shows what runs"))
                .try_after(*try_after)
        }
        AdmissionError::Limited { try_after, .. } => {
            let after = duration_text(*try_after);
            Failure::environment("RATE_LIMITED", message)
                .advice(format!("try again after {after}"))
                .try_after(*try_after)
        }
        AdmissionError::Quota {
            exceeded,
            try_after,
        } => Failure::environment(exceeded.quota.code(), message)
            .advice(exceeded.quota.advice())
            .try_after(*try_after),
        AdmissionError::Disabled { .. } => Failure::environment("TENANT_DISABLED", message)
            .advice("ask whoever operates this installation"),
        AdmissionError::Key(error) => Failure::invalid("ADMISSION_KEY", message).advice(format!(
            "give the input that `{}` reads, or let it say `?? \"none\"`",
            error.field()
        )),
        _ => Failure::invalid("ADMISSION_KEY", message),
    }
}

/// Why an execution was not started.
fn not_started(error: StartError) -> Failure {
    let message = error.to_string();
    match error {
        StartError::Store(error) => error.into(),
        StartError::Input(problems) => {
            let located = problems
                .iter()
                .map(|problem| LocatedDiagnostic {
                    code: "INPUT_INVALID".into(),
                    severity: Severity::Error,
                    message: problem.to_string(),
                    file: "input".to_owned(),
                    line: 0,
                    column: 0,
                    pointer: problem.pointer.clone(),
                    hint: None,
                })
                .collect();
            Failure::invalid("INPUT_INVALID", message)
                .advice("give the input with --input name=value or --input-json; `nebula plan FILE` shows its schema")
                .diagnostics(located, String::new())
        }
        StartError::TooLarge { .. } => Failure::invalid("INPUT_TOO_LARGE", message)
            .advice("let the workflow read large data with file.read"),
        StartError::TooDeep { .. } => {
            Failure::invalid("INPUT_TOO_DEEP", message).advice("flatten it")
        }
        StartError::Schema(_) => Failure::invalid("INPUT_INVALID", message),
        StartError::Admission(error) => not_admitted(&error),
    }
}
