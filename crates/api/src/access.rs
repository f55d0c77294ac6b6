//! Who calls, what they may, and what is recorded of it.

use std::{fmt, sync::Arc, time::Duration};

use axum::{
    extract::{FromRequestParts, Request, State},
    http::request::Parts,
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use nebula_core::{ProjectId, TenantId, WorkflowId};
use nebula_identity::{Decision, Evidence, NotAuthenticated, Permission, Principal, What};
use nebula_ports::{ExecutionSummary, WorkflowSummary};
use nebula_resilience::{CallRate, Counted, Left};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    api::{Inner, Shared},
    executions,
    extract::At,
    problem::{Problem, disabled, unknown_execution, unknown_workflow},
    server::Remote,
    workflows,
};

/// The cookie of a browser's session.
pub(crate) const COOKIE: &str = "nebula_session";

/// What every caller may.
const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// What is left of that.
const LEFT: HeaderName = HeaderName::from_static("ratelimit");

/// In what a browser's page sends back what only it was told.
const CSRF: HeaderName = HeaderName::from_static("x-csrf-token");

/// What a route asks of its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// Nothing: anybody may call it, and it shows nothing that is anybody's.
    Nothing,
    /// To be somebody: it concerns the caller alone.
    Somebody,
    /// A permission, in the project of what it concerns.
    Permission(Permission),
}

impl fmt::Display for Needs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("nothing"),
            Self::Somebody => f.write_str("somebody"),
            Self::Permission(permission) => permission.fmt(f),
        }
    }
}

/// What a route does, and what it asks for that.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Act {
    pub(crate) needs: Needs,
    /// A verb after a noun, as the audit log has it.
    pub(crate) what: &'static str,
    /// Whether it streams, so that a ticket opens it.
    pub(crate) live: bool,
}

/// The gate before one route.
#[derive(Clone)]
pub(crate) struct Gate {
    pub(crate) shared: Shared,
    pub(crate) act: Act,
}

/// Who calls, for what, and from where.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    principal: Arc<Principal>,
    needs: Needs,
    what: &'static str,
    from: Arc<str>,
}

impl FromRequestParts<Shared> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Shared) -> Result<Self, Problem> {
        let who = parts.extensions.get::<Self>().cloned();
        who.ok_or_else(unauthenticated)
    }
}

/// From where a request comes that nobody stands behind.
#[derive(Debug, Clone)]
pub(crate) struct Origin(pub(crate) Arc<str>);

impl FromRequestParts<Shared> for Origin {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Shared) -> Result<Self, Problem> {
        Ok(Self(origin(&parts.extensions)))
    }
}

/// The address of the connection. What a header says of others before it, anybody can write.
fn origin(extensions: &http::Extensions) -> Arc<str> {
    let remote = extensions.get::<Remote>();
    remote.map_or_else(|| "".into(), |remote| remote.0.to_string().into())
}

impl Caller {
    pub(crate) fn principal(&self) -> &Principal {
        &self.principal
    }

    /// The same with the rights of now.
    pub(crate) fn renewed(&self, principal: Principal) -> Self {
        Self {
            principal: Arc::new(principal),
            ..self.clone()
        }
    }

    pub(crate) fn tenant(&self) -> &TenantId {
        self.principal.tenant()
    }

    pub(crate) fn from(&self) -> &str {
        &self.from
    }

    /// The permission that the route asks for.
    pub(crate) fn permission(&self) -> Option<Permission> {
        match self.needs {
            Needs::Permission(permission) => Some(permission),
            Needs::Nothing | Needs::Somebody => None,
        }
    }

    /// The projects whose things a list shows; `None` is all, and what belongs to none.
    pub(crate) fn projects(&self) -> Option<Vec<ProjectId>> {
        match self.permission() {
            Some(permission) => self.principal.projects_with(permission),
            None => Some(Vec::new()),
        }
    }

    /// Records what is about to be done.
    pub(crate) async fn record(
        &self,
        shared: &Inner,
        target: impl Into<String>,
        change: Value,
    ) -> Result<(), Problem> {
        let what = What::allowed(self.what, target, &self.from, change);
        shared.identity.record(&self.principal, what).await?;
        Ok(())
    }

    /// Lets them do `permission` in `project`, or records that they wanted to.
    ///
    /// Whoever does not even see what is there (`sees`) is answered as if it were not.
    pub(crate) async fn may(
        &self,
        shared: &Inner,
        permission: Permission,
        project: Option<&ProjectId>,
        target: &str,
        (sees, unknown): (Permission, impl FnOnce() -> Problem),
    ) -> Result<(), Problem> {
        let Decision::Denied { why } = self.principal.may(permission, project) else {
            return Ok(());
        };
        let seen = self.principal.is_allowed(sees, project);
        let why = why.to_string();
        let denial = self.denied(shared, permission, target, &why).await?;
        Err(if seen { denial } else { unknown() })
    }

    /// Lets them do what the route is for with what belongs to no project, or records that they wanted to.
    pub(crate) async fn everywhere(&self, shared: &Inner, target: &str) -> Result<(), Problem> {
        let Some(permission) = self.permission() else {
            return Err(unauthenticated());
        };
        match self.principal.may(permission, None) {
            Decision::Allowed => Ok(()),
            Decision::Denied { why } => {
                let why = why.to_string();
                Err(self.denied(shared, permission, target, &why).await?)
            }
        }
    }

    /// The same with what concerns every tenant of the server: only for those of its own.
    pub(crate) async fn of_server(&self, shared: &Inner, target: &str) -> Result<(), Problem> {
        self.everywhere(shared, target).await?;
        if *self.tenant() == shared.tenant {
            return Ok(());
        }
        let permission = self.permission().ok_or_else(unauthenticated)?;
        let why = "it concerns every tenant of this server";
        Err(self.denied(shared, permission, target, why).await?)
    }

    /// Records that something was refused for another reason than their rights.
    pub(crate) async fn refused(
        &self,
        shared: &Inner,
        target: &str,
        why: &str,
    ) -> Result<(), Problem> {
        let what = What {
            change: json!({ "why": why }),
            ..What::denied(self.what, target, &self.from)
        };
        shared.identity.record(&self.principal, what).await?;
        Ok(())
    }

    /// Records a denial, and gives what it is answered with.
    pub(crate) async fn denied(
        &self,
        shared: &Inner,
        permission: Permission,
        target: &str,
        why: &str,
    ) -> Result<Problem, Problem> {
        let what = What {
            change: json!({ "needs": permission.as_str(), "why": why }),
            ..What::denied(self.what, target, &self.from)
        };
        shared.identity.record(&self.principal, what).await?;
        let message = format!("this needs the permission {permission}: {why}");
        Ok(Problem::new(StatusCode::FORBIDDEN, "DENIED", message)
            .hint("ask whoever manages this installation for a role that has it"))
    }

    /// A workflow, if they may do `permission` with it.
    pub(crate) async fn workflow(
        &self,
        shared: &Inner,
        id: &WorkflowId,
        permission: Permission,
    ) -> Result<WorkflowSummary, Problem> {
        let workflow = workflows::summary(shared, self.tenant(), id).await?;
        let unknown = (Permission::WorkflowsRead, || unknown_workflow(id));
        let (project, target) = (workflow.project.as_ref(), format!("workflow:{id}"));
        self.may(shared, permission, project, &target, unknown)
            .await?;
        Ok(workflow)
    }

    /// To which project what is of a workflow belongs. Whoever may the same everywhere need not know.
    pub(crate) async fn place(
        &self,
        shared: &Inner,
        workflow: &WorkflowId,
    ) -> Result<Option<ProjectId>, Problem> {
        if self.projects().is_none() {
            return Ok(None);
        }
        let engine = shared.nebula.engine();
        let found = engine.versions(self.tenant(), workflow, None, 0).await?;
        Ok(found.and_then(|found| found.workflow.project))
    }

    /// Whether they may do `permission` with what is of this workflow; nothing is recorded, for lists.
    pub(crate) async fn reaches(
        &self,
        shared: &Inner,
        workflow: &WorkflowId,
        permission: Permission,
    ) -> Result<bool, Problem> {
        if self.principal.is_allowed(permission, None) {
            return Ok(true);
        }
        let engine = shared.nebula.engine();
        let found = engine.versions(self.tenant(), workflow, None, 0).await?;
        let project = found.and_then(|found| found.workflow.project);
        Ok(self.principal.is_allowed(permission, project.as_ref()))
    }
}

/// The execution in the path, of which the caller may do what the route is for.
#[derive(Debug)]
pub(crate) struct OfExecution {
    pub(crate) by: Caller,
    pub(crate) summary: ExecutionSummary,
}

#[derive(Deserialize)]
struct ExecutionPath {
    execution: nebula_core::ExecutionId,
}

impl OfExecution {
    /// As the audit log names it.
    pub(crate) fn target(&self) -> String {
        format!("execution:{}", self.summary.id)
    }
}

impl FromRequestParts<Shared> for OfExecution {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, shared: &Shared) -> Result<Self, Problem> {
        let by = Caller::from_request_parts(parts, shared).await?;
        let At(ExecutionPath { execution: id }) = At::from_request_parts(parts, shared).await?;
        let summary = executions::summary(shared, by.tenant(), id).await?;
        let permission = by.permission().ok_or_else(unauthenticated)?;
        let project = by.place(shared, &summary.workflow).await?;
        let unknown = (Permission::ExecutionsRead, || unknown_execution(id));
        let target = format!("execution:{id}");
        by.may(shared, permission, project.as_ref(), &target, unknown)
            .await?;
        Ok(Self { by, summary })
    }
}

/// The workflow in the path, with which the caller may do what the route is for.
#[derive(Debug)]
pub(crate) struct OfWorkflow {
    pub(crate) by: Caller,
    pub(crate) workflow: WorkflowSummary,
}

#[derive(Deserialize)]
struct WorkflowPath {
    workflow: WorkflowId,
}

impl OfWorkflow {
    /// As the audit log names it.
    pub(crate) fn target(&self) -> String {
        format!("workflow:{}", self.workflow.id)
    }
}

impl FromRequestParts<Shared> for OfWorkflow {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, shared: &Shared) -> Result<Self, Problem> {
        let by = Caller::from_request_parts(parts, shared).await?;
        let At(WorkflowPath { workflow: id }) = At::from_request_parts(parts, shared).await?;
        let permission = by.permission().ok_or_else(unauthenticated)?;
        let workflow = by.workflow(shared, &id, permission).await?;
        Ok(Self { by, workflow })
    }
}

/// What a request shows: a token, or a ticket where it streams, or a browser's cookie.
enum Shown {
    Bearer(String),
    Ticket(String),
    Cookie { value: String, csrf: Option<String> },
}

/// What a request shows, if it is one thing: two of a kind mean two things to two readers.
fn shown(request: &Request, live: bool) -> Option<Shown> {
    let headers = request.headers();
    if headers.contains_key(header::AUTHORIZATION) {
        return bearer(headers).map(|token| Shown::Bearer(token.to_owned()));
    }
    if live && let Some(tickets) = tickets(request.uri().query().unwrap_or_default()) {
        return tickets.map(Shown::Ticket);
    }
    let value = cookie(headers)?.to_owned();
    let csrf = one(headers, &CSRF).map(str::to_owned);
    Some(Shown::Cookie { value, csrf })
}

/// The one header of this name.
fn one<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    let mut all = headers.get_all(name).iter();
    let text = all.next()?.to_str().ok()?;
    all.next().is_none().then_some(text)
}

/// The token of the one `Authorization` header.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = one(headers, &header::AUTHORIZATION)?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// The value of the one session cookie.
pub(crate) fn cookie(headers: &HeaderMap) -> Option<&str> {
    cookie_named(headers, COOKIE)
}

/// The value of the one cookie of this name.
pub(crate) fn cookie_named<'h>(headers: &'h HeaderMap, wanted: &str) -> Option<&'h str> {
    let mut found = None;
    for header in headers.get_all(header::COOKIE) {
        for pair in header.to_str().ok()?.split(';') {
            if let Some((name, value)) = pair.trim().split_once('=')
                && name == wanted
                && found.replace(value).is_some()
            {
                return None;
            }
        }
    }
    found
}

/// `ticket` of a query: `None` if there is none, inside `None` if there are several.
fn tickets(query: &str) -> Option<Option<String>> {
    let pairs: Vec<(String, String)> = serde_urlencoded::from_str(query).ok()?;
    let mut all = pairs.into_iter().filter(|(name, _)| name == "ticket");
    let first = all.next()?.1;
    Some(all.next().is_none().then_some(first))
}

/// The header that gives a browser its session, or takes it away.
pub(crate) fn set_cookie(value: &str, lives: Option<u64>, secure: bool) -> String {
    let secure = if secure { "; Secure" } else { "" };
    let age = lives.unwrap_or(0);
    format!("{COOKIE}={value}; Path=/; Max-Age={age}; HttpOnly; SameSite=Lax{secure}")
}

pub(crate) fn unauthenticated() -> Problem {
    Problem::new(
        StatusCode::UNAUTHORIZED,
        "UNAUTHENTICATED",
        "nothing was shown that opens this: no token, key or session that is valid",
    )
    .hint("send `Authorization: Bearer TOKEN`; `nebula serve` says where its token lies")
}

impl From<NotAuthenticated> for Problem {
    fn from(error: NotAuthenticated) -> Self {
        match error {
            NotAuthenticated::Refused => unauthenticated(),
            NotAuthenticated::Csrf => {
                let message = "the request does not bring the CSRF token of its session";
                Self::new(StatusCode::FORBIDDEN, "CSRF", message)
                    .hint("send `csrf` of GET /api/v1/me in the header X-CSRF-Token")
            }
            NotAuthenticated::Wait { .. } => {
                let message = "it was tried too often";
                Self::new(StatusCode::TOO_MANY_REQUESTS, "TRIED_TOO_OFTEN", message)
                    .hint("wait, and try again")
            }
            NotAuthenticated::Busy => {
                let message = "too many log in at the moment";
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "BUSY", message)
                    .hint("try again")
                    .try_after(Duration::from_secs(1))
            }
            NotAuthenticated::Port(error) => error.into(),
            _ => unauthenticated(),
        }
    }
}

/// What somebody is told who showed what opens nothing: at a login, not a token but a password.
pub(crate) fn wrong(code: &'static str, detail: &str, hint: &str) -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, code, detail).hint(hint)
}

/// What somebody who is not let in is told: never whether somebody exists.
pub(crate) fn refused(shared: &Inner, error: NotAuthenticated) -> Problem {
    let wait = match &error {
        NotAuthenticated::Wait { until } => Some(until.since(shared.clock.now())),
        _ => None,
    };
    let problem: Problem = error.into();
    match wait {
        Some(wait) => problem.try_after(wait.max(Duration::from_secs(1))),
        None => problem,
    }
}

/// Settles who calls and whether they may, before anything of the request but its head is read. Whether
/// they may in the project that it concerns, the handler's extractor settles.
pub(crate) async fn authorise(
    State(Gate { shared, act }): State<Gate>,
    mut request: Request,
    next: Next,
) -> Response {
    if act.needs != Needs::Nothing {
        let asking = Asking {
            from: origin(request.extensions()),
            shown: shown(&request, act.live),
            mutating: ![Method::GET, Method::HEAD].contains(request.method()),
        };
        let (left, settled) = known(&shared, act, asking).await;
        let mut response = match settled {
            Ok(caller) => {
                request.extensions_mut().insert(caller);
                next.run(request).await
            }
            Err(problem) => problem.into_response(),
        };
        if let Some(left) = left {
            tell(response.headers_mut(), shared.quotas.rate(), left);
        }
        return response;
    }
    next.run(request).await
}

/// Says what a caller may, and what is left of it (draft-ietf-httpapi-ratelimit-headers-10).
fn tell(headers: &mut HeaderMap, rate: CallRate, left: Left) {
    let (limit, calls) = (rate.limit, left.calls);
    let seconds = left.full_in.as_secs() + u64::from(left.full_in.subsec_nanos() > 0);
    let texts = [
        (POLICY, format!("\"caller\";q={limit};w=1")),
        (LEFT, format!("\"caller\";r={calls};t={seconds}")),
    ];
    for (name, text) in texts {
        if let Ok(value) = HeaderValue::from_str(&text) {
            headers.insert(name, value);
        }
    }
}

/// What counts of a request's head.
struct Asking {
    from: Arc<str>,
    shown: Option<Shown>,
    mutating: bool,
}

/// What the caller has left, once it is settled who calls, and whether they may.
async fn known(
    shared: &Inner,
    act: Act,
    asking: Asking,
) -> (Option<Left>, Result<Caller, Problem>) {
    let caller = match authenticated(shared, act, asking).await {
        Ok(caller) => caller,
        Err(problem) => return (None, Err(problem)),
    };
    if let Err(problem) = admitted(shared, caller.tenant()).await {
        return (None, Err(problem));
    }
    let who = (caller.tenant().clone(), caller.principal.id());
    let counted = shared.quotas.count(&who, shared.clock.monotonic());
    let left = match counted {
        Counted::Passes(left) => left,
        Counted::Refused(left, after) => {
            shared.nebula.bus().metrics().rate_limited();
            let limit = shared.config().max_requests;
            let message = format!("this caller made more than {limit} requests in a second");
            let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "TOO_MANY_REQUESTS", message)
                .hint("ask less often; RateLimit says what is left")
                .try_after(after);
            return (Some(left), Err(problem));
        }
    };
    (Some(left), permitted(shared, act, caller).await)
}

/// Lets nobody of a tenant in that is disabled.
pub(crate) async fn admitted(shared: &Inner, tenant: &TenantId) -> Result<(), Problem> {
    match is_disabled(shared, tenant).await? {
        true => Err(disabled(tenant)),
        false => Ok(()),
    }
}

/// Whether nobody of a tenant is let in. The server's own cannot be disabled.
pub(crate) async fn is_disabled(shared: &Inner, tenant: &TenantId) -> Result<bool, Problem> {
    if *tenant == shared.tenant {
        return Ok(false);
    }
    let known = shared.nebula.engine().tenant(tenant).await?;
    Ok(known.is_some_and(|it| it.disabled))
}

/// Lets whoever may nothing of the kind no further.
async fn permitted(shared: &Inner, act: Act, caller: Caller) -> Result<Caller, Problem> {
    match act.needs {
        Needs::Permission(permission) if !caller.principal.is_allowed_somewhere(permission) => {
            let why = "there is no role that has it in any project, or the key is not for it";
            Err(caller.denied(shared, permission, "", why).await?)
        }
        _ => Ok(caller),
    }
}

async fn authenticated(shared: &Inner, act: Act, asking: Asking) -> Result<Caller, Problem> {
    let shown = asking.shown.ok_or_else(unauthenticated)?;
    let from = asking.from;
    let evidence = match &shown {
        Shown::Bearer(token) => Evidence::Bearer(token),
        Shown::Ticket(ticket) => Evidence::Ticket(ticket),
        Shown::Cookie { value, csrf } => Evidence::Session {
            cookie: value,
            csrf: csrf.as_deref(),
            mutating: asking.mutating,
        },
    };
    let authenticated = shared.identity.authenticate(evidence, &from).await;
    let principal = authenticated.map_err(|error| refused(shared, error))?;
    Ok(Caller {
        principal: Arc::new(principal),
        needs: act.needs,
        what: act.what,
        from,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &HeaderName, values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn one_bearer_token_counts_and_nothing_else() {
        let headers = |values| headers(&header::AUTHORIZATION, values);
        assert_eq!(bearer(&headers(&["Bearer abc"])), Some("abc"));
        assert_eq!(bearer(&headers(&["bEaReR  abc "])), Some("abc"));
        for wrong in [
            &["Basic abc"][..],
            &["Bearer"],
            &["abc"],
            &["Bearer abc", "Bearer abc"],
            &[],
        ] {
            assert_eq!(bearer(&headers(wrong)), None, "{wrong:?}");
        }
    }

    #[test]
    fn one_session_cookie_counts_among_others() {
        let headers = |values| headers(&header::COOKIE, values);
        let right = headers(&["a=1; nebula_session=x; b=2", "c=3"]);
        assert_eq!(cookie(&right), Some("x"));
        for wrong in [
            &["nebula_session=x; nebula_session=x"][..],
            &["nebula_session=x", "nebula_session=y"],
            &["NEBULA_SESSION=x; xnebula_session=x"],
            &["nebula_session"],
            &[],
        ] {
            assert_eq!(cookie(&headers(wrong)), None, "{wrong:?}");
        }
    }

    #[test]
    fn one_ticket_counts() {
        assert_eq!(tickets("a=1&ticket=x"), Some(Some("x".to_owned())));
        assert_eq!(tickets("ticket=x&ticket=x"), Some(None));
        assert_eq!(tickets("a=1"), None);
    }

    #[test]
    fn a_cookie_is_for_this_server_alone() {
        let cookie = set_cookie("x", Some(60), true);
        let expected = "nebula_session=x; Path=/; Max-Age=60; HttpOnly; SameSite=Lax; Secure";
        assert_eq!(cookie, expected);
        assert!(set_cookie("", None, false).contains("Max-Age=0"));
    }
}
