//! What is asked of people, their votes, and the links with which they vote.

use axum::{
    Json,
    extract::{Request, State},
    response::{IntoResponse as _, Response},
};
use http::{HeaderMap, StatusCode};
use nebula_core::{ExecutionId, Timestamp};
use nebula_engine::{OpenApproval, Redeemed};
use nebula_execution::{Ballot, Choice, Refusal, ResumeToken, Status};
use nebula_identity::{Permission, What, Who};
use nebula_ports::{ExecutionFilter, PageToken};
use nebula_trigger::escaped;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};

use crate::{
    access::{Caller, OfExecution, Origin},
    api::{Inner, Shared},
    executions::{page_size, reached, summary},
    extract::{self, Asked, At, Body, media_type, unsupported, whole},
    page::{page, wants_page},
    problem::{Problem, unknown_execution},
    signals::{Said, said},
    workflows::bad_cursor,
};

/// Something that is asked.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ApprovalBody {
    /// Of which execution.
    execution: String,
    /// By which instance.
    instance: String,
    /// Which asking of it, from 0: a retry asks again.
    round: u32,
    /// What is asked.
    title: Option<String>,
    /// What it is about.
    artifact: Value,
    /// Who may vote; anybody, if nobody is named.
    approvers: Vec<String>,
    /// How many must approve.
    quorum: u32,
    /// How many must reject.
    rejections: u32,
    /// Who has approved.
    approved: Vec<String>,
    /// Who has rejected.
    rejected: Vec<String>,
    /// When the time for votes is over (RFC 3339); null is never.
    due: Option<String>,
}

impl From<&OpenApproval> for ApprovalBody {
    fn from(open: &OpenApproval) -> Self {
        let (approval, question) = (&open.approval, &open.approval.question);
        let voters = |choice| approval.voters(choice).map(str::to_owned).collect();
        Self {
            execution: open.execution.to_string(),
            instance: open.instance.to_string(),
            round: approval.round,
            title: question.title.clone(),
            artifact: question.artifact.as_deref().cloned().unwrap_or_default(),
            approvers: question.approvers.clone(),
            quorum: question.quorum,
            rejections: question.rejections,
            approved: voters(Choice::Approve),
            rejected: voters(Choice::Reject),
            due: question.due.as_ref().map(Timestamp::to_string),
        }
    }
}

/// A part of what is asked.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ApprovalPage {
    /// What is asked by the executions that were looked at, the newest first.
    approvals: Vec<ApprovalBody>,
    /// What `cursor` of the next page is; null at the end.
    next: Option<String>,
}

/// Which approvals to list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListApprovals {
    /// Only those of this execution.
    #[param(value_type = Option<String>)]
    execution: Option<ExecutionId>,
    /// How many executions are looked at, at most `max_page`; 50 where nothing is said.
    #[param(minimum = 1)]
    limit: Option<u64>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// Lists what is asked of people. A page may be empty and have a next one.
#[utoipa::path(
    get, path = "/api/v1/approvals", tag = "approvals",
    params(ListApprovals), responses((status = 200, body = ApprovalPage))
)]
pub(crate) async fn list(
    State(shared): State<Shared>,
    by: Caller,
    Asked(asked): Asked<ListApprovals>,
) -> Result<Json<ApprovalPage>, Problem> {
    let (engine, tenant) = (shared.nebula.engine(), by.tenant());
    let permission = Permission::ApprovalsRead;
    if let Some(id) = asked.execution {
        let summary = summary(&shared, tenant, id).await?;
        let project = by.place(&shared, &summary.workflow).await?;
        let (target, unknown) = (format!("execution:{id}"), || unknown_execution(id));
        let sees = (Permission::ExecutionsRead, unknown);
        by.may(&shared, permission, project.as_ref(), &target, sees)
            .await?;
        let open = engine.approvals(tenant, id).await?;
        let open = open.ok_or_else(|| unknown_execution(id))?;
        return Ok(Json(ApprovalPage {
            approvals: open.iter().map(Into::into).collect(),
            next: None,
        }));
    }
    let limit = page_size(&shared, asked.limit)?;
    let filter = ExecutionFilter {
        statuses: Status::all().filter(|it| !it.is_terminal()).collect(),
        ..ExecutionFilter::default()
    };
    let after = asked.cursor.map(PageToken);
    let page = engine.list(tenant, &filter, after.as_ref(), limit).await;
    let page = page.map_err(bad_cursor)?;
    let mut approvals = Vec::new();
    for summary in reached(&shared, &by, page.items, &[permission]).await? {
        // It may have gone since it was listed.
        let open = engine.approvals(tenant, summary.id).await?;
        approvals.extend(open.iter().flatten().map(ApprovalBody::from));
    }
    Ok(Json(ApprovalPage {
        approvals,
        next: page.next.map(|next| next.0),
    }))
}

/// What one person says.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CastVote {
    /// About which instance; needed where several are open.
    #[serde(default)]
    instance: Option<String>,
    /// `approve`, `reject` or `defer`.
    #[schema(value_type = ChoiceName)]
    choice: Choice,
    /// Who votes, where whoever calls speaks for others.
    #[serde(default)]
    by: Option<String>,
    /// Why, at most 4 KiB.
    #[serde(default)]
    comment: Option<String>,
    /// Recognises a repetition of this vote; drawn where nothing is said.
    #[serde(default)]
    id: Option<String>,
}

/// What somebody may say.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[expect(dead_code, reason = "names for the document")]
pub(crate) enum ChoiceName {
    Approve,
    Reject,
    Defer,
}

/// Votes on what an execution asks.
#[utoipa::path(
    post, path = "/api/v1/executions/{execution}/votes", tag = "approvals",
    params(("execution" = String, Path, format = "uuid")), request_body = CastVote, responses((status = 200, body = Said))
)]
pub(crate) async fn vote(
    State(shared): State<Shared>,
    it: OfExecution,
    Body(vote): Body<CastVote>,
) -> Result<Json<Said>, Problem> {
    let (engine, id, who) = (shared.nebula.engine(), it.summary.id, it.by.principal());
    // Whoever sits at this machine is whoever they say. Others are who they are.
    if let Some(name) = vote.by.as_deref().filter(|it| *it != who.login())
        && who.who() != Who::Local
    {
        let message = format!("`{}` votes, and `by` says `{name}`", who.login());
        return Err(Problem::new(StatusCode::FORBIDDEN, "NOT_YOURSELF", message)
            .hint("leave `by` out; whoever else is asked votes for themselves"));
    }
    let open = engine.approvals(it.by.tenant(), id).await?;
    let open = open.ok_or_else(|| unknown_execution(id))?;
    let names: Vec<String> = open.iter().map(|it| it.instance.to_string()).collect();
    let listed = format!("open are: {}", names.join(", "));
    let about = match (&vote.instance, open.as_slice()) {
        (None, [one]) => Some(one),
        (None, [_, _, ..]) => {
            let message = format!("{id} asks several things");
            return Err(Problem::conflict("SEVERAL_OPEN", message).hint(listed));
        }
        (None, []) => None,
        (Some(named), open) => open.iter().find(|it| it.instance.to_string() == *named),
    };
    let Some(about) = about else {
        let what = vote
            .instance
            .map_or_else(|| id.to_string(), |it| format!("`{it}` of {id}"));
        let problem = Problem::conflict("NO_APPROVAL", format!("{what} asks nobody"));
        return Err(if names.is_empty() {
            problem
        } else {
            problem.hint(listed)
        });
    };
    let ballot = Ballot {
        instance: about.instance.clone(),
        round: about.approval.round,
        id: vote.id.unwrap_or_else(|| shared.entropy.uuid().to_string()),
        by: vote.by.unwrap_or_else(|| who.login().to_owned()),
        choice: vote.choice,
        comment: vote.comment,
        seat: None,
        at: None,
    };
    votable(&shared, about, &ballot)?;
    it.by
        .record(&shared, it.target(), told(about, &ballot))
        .await?;
    said(id, engine.vote(it.by.tenant(), id, ballot).await?)
}

/// A vote, as the audit log has it.
fn told(open: &OpenApproval, ballot: &Ballot) -> Value {
    json!({
        "instance": open.instance.to_string(),
        "by": ballot.by,
        "choice": ballot.choice,
    })
}

/// Whether a ballot counts, as things stand.
fn votable(shared: &Inner, open: &OpenApproval, ballot: &Ballot) -> Result<(), Problem> {
    ballot
        .check()
        .map_err(|error| Problem::bad("BAD_VOTE", error.to_string()))?;
    match open.approval.refusal(ballot, shared.clock.now()) {
        Some(why) => Err(refused(why, ballot, open)),
        None => Ok(()),
    }
}

fn refused(why: Refusal, ballot: &Ballot, open: &OpenApproval) -> Problem {
    let (node, id, by) = (&open.instance, open.execution, &ballot.by);
    match why {
        Refusal::NotOpen => {
            let message = format!("`{node}` of {id} is decided, or its time is over");
            Problem::conflict("ALREADY_DECIDED", message)
        }
        Refusal::NotAnApprover => {
            let message = format!("`{by}` may not vote on `{node}` of {id}");
            let names = open.approval.question.approvers.join(", ");
            Problem::new(StatusCode::FORBIDDEN, "NOT_AN_APPROVER", message)
                .hint(format!("those who may: {names}"))
        }
        Refusal::VotedBefore => {
            let message = format!("`{by}` has voted on `{node}` of {id} before");
            Problem::conflict("VOTED_BEFORE", message).hint("a person counts once")
        }
    }
}

async fn redeemed(shared: &Inner, token: &str) -> Result<Redeemed, Problem> {
    let invalid = |_| {
        let message = "the link is not valid: it is no resume token";
        Problem::new(StatusCode::NOT_FOUND, "RESUME_TOKEN_INVALID", message)
    };
    // What is around a token on a command line is no part of a link.
    let digits = token.bytes().all(|byte| byte.is_ascii_hexdigit());
    let token = if digits { token } else { "" };
    let token: ResumeToken = token.parse().map_err(invalid)?;
    Ok(shared
        .nebula
        .engine()
        .redeem(&shared.tenant, &token)
        .await?)
}

/// What a link asks, for whom.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Confirm {
    /// What is asked.
    approval: ApprovalBody,
    /// Who the link is for; null is anybody.
    who: Option<String>,
}

/// Shows what a resume link asks, and changes nothing: a page with a form for browsers, else JSON. The
/// link itself is what lets its holder vote.
#[utoipa::path(
    get, path = "/resume/{token}", tag = "approvals",
    params(("token" = String, Path)), responses((status = 200, body = Confirm))
)]
pub(crate) async fn confirm(
    State(shared): State<Shared>,
    At(token): At<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let found = redeemed(&shared, &token).await;
    if !wants_page(&headers) {
        let Redeemed { open, seat } = found?;
        let approval = (&open).into();
        let who = seat.who;
        return Ok(Json(Confirm { approval, who }).into_response());
    }
    let Ok(Redeemed { open, seat }) = found else {
        let text = "<p>It was used, its time is over, or it is not from here.</p>";
        let mut response = page("This link is not valid", text);
        *response.status_mut() = StatusCode::NOT_FOUND;
        return Ok(response);
    };
    let question = &open.approval.question;
    let title = question
        .title
        .as_deref()
        .unwrap_or("Your decision is asked");
    let artifact = question.artifact.as_deref().map_or_else(String::new, |it| {
        format!("<pre>{}</pre>", escaped(&format!("{it:#}")))
    });
    let due = question.due.as_ref().map_or_else(String::new, |due| {
        format!("<p>Until {}.</p>", escaped(&due.to_string()))
    });
    let by = match &seat.who {
        Some(who) => format!("<p>For {}.</p>", escaped(who)),
        None => {
            "<label>Your name <input name=\"by\" required maxlength=\"128\"></label>".to_owned()
        }
    };
    let body = format!(
        "{artifact}{due}<form method=\"post\">{by}<label>Comment <textarea name=\"comment\" rows=\"3\" maxlength=\"1000\"></textarea></label>\
         <button name=\"choice\" value=\"approve\">Approve</button><button name=\"choice\" value=\"reject\">Reject</button>\
         <button name=\"choice\" value=\"defer\">Defer</button></form>"
    );
    Ok(page(title, &body))
}

/// What the holder of a link says.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Redeem {
    /// `approve`, `reject` or `defer`.
    #[schema(value_type = ChoiceName)]
    choice: Choice,
    /// Who votes, where the link is for anybody.
    #[serde(default)]
    by: Option<String>,
    /// Why, at most 4 KiB.
    #[serde(default)]
    comment: Option<String>,
}

/// Votes with a resume link, once.
#[utoipa::path(
    post, path = "/resume/{token}", tag = "approvals",
    params(("token" = String, Path)),
    request_body(content((Redeem = "application/json"), (Redeem = "application/x-www-form-urlencoded"))),
    responses((status = 200, body = Said))
)]
pub(crate) async fn redeem(
    State(shared): State<Shared>,
    Origin(from): Origin,
    At(token): At<String>,
    request: Request,
) -> Result<Response, Problem> {
    let kind = media_type(request.headers());
    let page_wanted = wants_page(request.headers());
    let vote: Redeem = match kind.as_deref() {
        Some("application/json") => extract::json(&whole(request, &shared).await?)?,
        Some("application/x-www-form-urlencoded") => {
            let bytes = whole(request, &shared).await?;
            serde_urlencoded::from_bytes(&bytes)
                .map_err(|error| Problem::bad("BAD_BODY", error.to_string()))?
        }
        other => return Err(unsupported(other, "application/json or a form")),
    };
    const WHAT: &str = "approvals.redeem";
    let Redeemed { open, seat } = match redeemed(&shared, &token).await {
        Ok(found) => found,
        Err(problem) => {
            let denied = What::denied(WHAT, "", &from);
            let identity = &shared.identity;
            identity.record_anonymous(&shared.tenant, denied).await?;
            return Err(problem);
        }
    };
    let by = match (seat.who, vote.by.filter(|by| !by.is_empty())) {
        (Some(who), Some(by)) if who != by => {
            let message = format!("this link is for `{who}`, and `by` says `{by}`");
            return Err(Problem::new(
                StatusCode::FORBIDDEN,
                "NOT_AN_APPROVER",
                message,
            ));
        }
        (Some(who), _) => who,
        (None, Some(by)) => by,
        (None, None) => {
            return Err(Problem::bad("BAD_VOTE", "by: nobody knows who votes")
                .hint("the link is for anybody, so say who you are"));
        }
    };
    let ballot = Ballot {
        instance: open.instance.clone(),
        round: open.approval.round,
        id: format!("token:{}", seat.number),
        by,
        choice: vote.choice,
        comment: vote.comment.filter(|it| !it.is_empty()),
        seat: Some(seat.number),
        at: None,
    };
    votable(&shared, &open, &ballot)?;
    let (id, tenant) = (open.execution, &shared.tenant);
    let what = What::allowed(WHAT, format!("execution:{id}"), &from, told(&open, &ballot));
    shared.identity.record_anonymous(tenant, what).await?;
    let engine = shared.nebula.engine();
    let said = said(id, engine.vote(tenant, id, ballot).await?)?;
    Ok(match page_wanted {
        true => page("Thank you", "<p>Your vote is written down.</p>"),
        false => said.into_response(),
    })
}
