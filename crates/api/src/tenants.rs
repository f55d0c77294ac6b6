//! Tenants: which there are, and how much each may use. For people of the server's own tenant alone.

use axum::{Json, extract::State};
use http::StatusCode;
use nebula_core::{ByteSize, ExposeSecret as _, TenantId};
use nebula_identity::{FIRST_RUN, FirstRun};
use nebula_ports::{MAX_WEIGHT, Quotas, Tenant, TenantError, TenantPut, Usage, Weight};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use crate::{
    access::Caller,
    api::{Inner, Shared},
    executions::page_size,
    extract::{Asked, At, Body},
    problem::Problem,
    sessions::failed,
    users::Paged,
};

/// How much a tenant may use; null is as much as there is.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(as = Quotas)]
pub(crate) struct QuotasBody {
    /// How many of its executions may not have ended, those that wait included.
    #[schema(minimum = 1, maximum = 1_000_000)]
    executions: Option<i64>,
    /// How many bytes its journals and blobs may have when an execution begins.
    #[schema(minimum = 1)]
    bytes: Option<i64>,
    /// How many of its executions may begin in a second.
    #[schema(minimum = 1, maximum = 1_000_000)]
    starts_per_second: Option<i64>,
}

/// How much a tenant uses.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TenantUsage)]
pub(crate) struct UsageBody {
    /// How many of its executions have not ended.
    executions: u64,
    /// How many of these workers hold.
    held: u64,
    /// How many bytes its journals and blobs have.
    bytes: u64,
}

/// What is settled about a tenant.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Tenant)]
pub(crate) struct TenantBody {
    /// Its id.
    tenant: String,
    /// What is shown of it.
    name: String,
    /// Its version, from 1.
    version: u32,
    /// Whether nobody of it is let in and nothing of it begins.
    disabled: bool,
    /// How much it may use.
    quotas: QuotasBody,
    /// How many turns it has where a tenant of weight 1 has one, while both have work that waits.
    #[schema(minimum = 1, maximum = 100)]
    weight: u32,
    /// How much it uses, where one tenant is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<UsageBody>,
}

impl TenantBody {
    fn of(it: &Tenant, usage: Option<Usage>) -> Self {
        let bytes = it.quotas.bytes.map(ByteSize::as_u64);
        Self {
            tenant: it.id.to_string(),
            name: it.name.clone(),
            version: it.version,
            disabled: it.disabled,
            quotas: QuotasBody {
                executions: it.quotas.executions.map(Into::into),
                bytes: bytes.map(|it| i64::try_from(it).unwrap_or(i64::MAX)),
                starts_per_second: it.quotas.starts_per_second.map(Into::into),
            },
            weight: it.weight.get(),
            usage: usage.map(|it| UsageBody {
                executions: it.executions,
                held: it.held,
                bytes: it.bytes,
            }),
        }
    }
}

/// A part of the tenants.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TenantPage {
    /// By id.
    tenants: Vec<TenantBody>,
    /// What `cursor` of the next page is; null at the end.
    next: Option<String>,
}

fn target(id: &TenantId) -> String {
    format!("tenant:{id}")
}

fn alone() -> Problem {
    let message = "this server has one tenant, and no place for others";
    Problem::conflict("ONE_TENANT", message)
        .hint("nebula-server and nebula-control-plane have tenants")
}

fn unknown(id: &TenantId) -> Problem {
    let message = format!("there is no tenant `{id}`");
    Problem::new(StatusCode::NOT_FOUND, "UNKNOWN_TENANT", message)
        .hint("GET /api/v1/tenants lists those that there are")
}

/// Lists tenants.
#[utoipa::path(
    get, path = "/api/v1/tenants", tag = "access", params(Paged),
    responses((status = 200, body = TenantPage))
)]
pub(crate) async fn list(
    State(shared): State<Shared>,
    by: Caller,
    Asked(asked): Asked<Paged>,
) -> Result<Json<TenantPage>, Problem> {
    by.of_server(&shared, "tenants").await?;
    let limit = page_size(&shared, asked.limit)?;
    let after = asked.cursor.map(TenantId::new).transpose();
    let after = after.map_err(|_| {
        Problem::bad("BAD_CURSOR", "the cursor is not from a page before")
            .hint("send `next` of the page before, as it is, or no cursor")
    })?;
    let tenants = shared.nebula.engine().tenants().ok_or_else(alone)?;
    let page = tenants.tenants(after.as_ref(), limit).await?;
    let next = page.last().filter(|_| page.len() == limit);
    Ok(Json(TenantPage {
        next: next.map(|it| it.id.to_string()),
        tenants: page.iter().map(|it| TenantBody::of(it, None)).collect(),
    }))
}

/// Shows a tenant, with how much it uses now: its blobs are counted for that.
#[utoipa::path(
    get, path = "/api/v1/tenants/{tenant}", tag = "access",
    params(("tenant" = String, Path)), responses((status = 200, body = TenantBody))
)]
pub(crate) async fn show(
    State(shared): State<Shared>,
    by: Caller,
    At(id): At<TenantId>,
) -> Result<Json<TenantBody>, Problem> {
    by.of_server(&shared, &target(&id)).await?;
    let known = find(&shared, &id).await?;
    let usage = shared.nebula.engine().usage(&id).await?;
    Ok(Json(TenantBody::of(&known, Some(usage))))
}

async fn find(shared: &Inner, id: &TenantId) -> Result<Tenant, Problem> {
    let tenants = shared.nebula.engine().tenants().ok_or_else(alone)?;
    let found = tenants.tenant(id).await?;
    found.ok_or_else(|| unknown(id))
}

/// The next version of what is settled about a tenant.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PutTenant {
    /// What is shown of it: 1 to 256 bytes.
    name: String,
    /// Which version this is: 1 of a new one, else one more than there is.
    #[schema(minimum = 1)]
    version: u32,
    /// Whether nobody of it is let in and nothing of it begins; what is under way goes on.
    #[serde(default)]
    disabled: bool,
    /// How much it may use.
    #[serde(default)]
    quotas: QuotasBody,
    /// How many turns it has where a tenant of weight 1 has one, while both have work that waits; 1 by default.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 100)]
    weight: Option<i64>,
}

impl PutTenant {
    fn read(self, id: TenantId) -> Result<Tenant, Problem> {
        let quotas = self.quotas;
        let new = Tenant {
            id,
            version: self.version,
            name: self.name,
            disabled: self.disabled,
            quotas: Quotas {
                executions: quota(quotas.executions)?,
                bytes: quotas
                    .bytes
                    .map(u64::try_from)
                    .transpose()
                    .map_err(|_| negative(quotas.bytes))?
                    .map(ByteSize::bytes),
                starts_per_second: quota(quotas.starts_per_second)?,
            },
            weight: weight(self.weight)?,
        };
        new.check().map_err(|error| match error {
            TenantError::Quota(_) => impossible(&error.to_string())
                .hint("a tenant that is to start nothing is disabled: `disabled: true`"),
            error @ TenantError::Name(_) => impossible(&error.to_string()),
        })?;
        Ok(new)
    }
}

fn weight(given: Option<i64>) -> Result<Weight, Problem> {
    let Some(given) = given else {
        return Ok(Weight::default());
    };
    // Below its range and above it are refused with the same words.
    let weight = Weight::new(u32::try_from(given).unwrap_or(u32::MAX));
    weight.map_err(|_| {
        impossible(&format!(
            "the weight is {given}; it is from 1 to {MAX_WEIGHT}"
        ))
    })
}

fn quota(given: Option<i64>) -> Result<Option<u32>, Problem> {
    let read = given.map(|it| match u32::try_from(it) {
        Ok(number) => Ok(number),
        // Above its range; what that is, it is told below.
        Err(_) if it > 0 => Ok(u32::MAX),
        Err(_) => Err(negative(given)),
    });
    read.transpose()
}

fn negative(given: Option<i64>) -> Problem {
    let given = given.unwrap_or_default();
    impossible(&format!(
        "a quota is {given}; it is 1 at least, or null for as much as there is"
    ))
}

fn impossible(message: &str) -> Problem {
    Problem::bad("BAD_TENANT", message)
}

/// Adds a tenant, or changes it from the version before: its name, whether it is disabled, its
/// quotas. All of it is given: what is left out is as it is for a new one.
#[utoipa::path(
    put, path = "/api/v1/tenants/{tenant}", tag = "access",
    params(("tenant" = String, Path)), request_body = PutTenant,
    responses((status = 200, body = TenantBody))
)]
pub(crate) async fn put(
    State(shared): State<Shared>,
    by: Caller,
    At(id): At<TenantId>,
    Body(wanted): Body<PutTenant>,
) -> Result<Json<TenantBody>, Problem> {
    by.of_server(&shared, &target(&id)).await?;
    let new = wanted.read(id)?;
    if new.disabled && new.id == shared.tenant {
        let message = format!(
            "`{}` is the server's own tenant: whoever disabled it could not enable it",
            new.id
        );
        return Err(Problem::conflict("OWN_TENANT", message));
    }
    let change = json!({
        "version": new.version, "name": new.name, "disabled": new.disabled,
        "quotas": TenantBody::of(&new, None).quotas, "weight": new.weight.get(),
    });
    by.record(&shared, target(&new.id), change).await?;
    let put = shared.nebula.engine().put_tenant(new.clone()).await?;
    match put.ok_or_else(alone)? {
        TenantPut::Stored | TenantPut::Same => Ok(Json(TenantBody::of(&new, None))),
        TenantPut::Conflict { version } => {
            let (id, wanted) = (&new.id, new.version);
            let message =
                format!("the tenant `{id}` has version {version}, and {wanted} is not the next");
            Err(Problem::conflict("CHANGED", message)
                .hint("look at it again: GET /api/v1/tenants/{tenant}"))
        }
    }
}

/// What makes the first person of a tenant.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TenantSetup {
    /// What `POST /api/v1/setup` takes, once. It is told here alone, and takes the place of one before it.
    token: String,
    /// For how many seconds it can be used.
    expires_in: u64,
}

/// Makes the token with which the first person of a tenant comes in, as long as nobody owns it.
#[utoipa::path(
    post, path = "/api/v1/tenants/{tenant}/setup", tag = "access",
    params(("tenant" = String, Path)), responses((status = 200, body = TenantSetup))
)]
pub(crate) async fn set_up(
    State(shared): State<Shared>,
    by: Caller,
    At(id): At<TenantId>,
) -> Result<Json<TenantSetup>, Problem> {
    by.of_server(&shared, &target(&id)).await?;
    find(&shared, &id).await?;
    by.record(&shared, target(&id), json!({})).await?;
    let first = shared.identity.first_run(&id).await;
    match first.map_err(|error| failed(&shared, error))? {
        FirstRun::Waits(token) => Ok(Json(TenantSetup {
            token: token.expose_secret().to_owned(),
            expires_in: FIRST_RUN.as_secs(),
        })),
        FirstRun::Over => {
            let message = format!("somebody owns the tenant `{id}`");
            Err(Problem::conflict("OWNED", message)
                .hint("whoever owns it adds people: nebula users add"))
        }
    }
}
