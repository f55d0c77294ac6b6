//! What the table of roles says of each cell.

use http::StatusCode;
use nebula_api::{Needs, Route};
use nebula_core::TenantId;

use super::{
    actors::{Actor, Place},
    probes::{Probe, Wanted},
};

/// What the table of roles says.
pub(super) fn expected(actor: &Actor, route: &Route, probe: &Probe, place: Place) -> &'static str {
    let somebody = actor.bearer.is_some() && !actor.login.is_empty();
    let permission = match (&probe.wanted, route.needs) {
        (Wanted::Always(_), Needs::Nothing) => return "open",
        (_, Needs::Nothing) => panic!("{} is open, and its probe says otherwise", route.path),
        _ if !somebody => return "401",
        (Wanted::Somebody, Needs::Somebody) => return "ok",
        (_, Needs::Permission(permission)) => permission,
        _ => panic!("{}: the probe fits no route of this kind", route.path),
    };
    if !actor.may_somewhere(permission) {
        return "403";
    }
    let (tenant, project) = (place.tenant(), place.project());
    let project = Some(project.as_str());
    match probe.wanted {
        Wanted::Anywhere => match (&*route.path, actor.only) {
            // With a key, nobody changes a password.
            ("/api/v1/me/password", Some(_)) => "403",
            _ => "ok",
        },
        Wanted::Tenant(permission) => match actor.may(permission, &actor.tenant, None) {
            false => "403",
            true if tenant == actor.tenant || is_list(route) => "ok",
            true => "404",
        },
        Wanted::Server(permission) => {
            let own = actor.tenant == TenantId::local();
            match own && actor.may(permission, &actor.tenant, None) {
                true => "ok",
                false => "403",
            }
        }
        // In one's own tenant nothing has that name, so it would be new, and of no project.
        Wanted::InPlace { .. } if route.what == "workflows.save" && tenant != actor.tenant => {
            match actor.may(permission, &actor.tenant, None) {
                true => "ok",
                false => "403",
            }
        }
        Wanted::InPlace { sees } => {
            match (
                actor.may(permission, &tenant, project),
                actor.may(sees, &tenant, project),
            ) {
                (true, _) => "ok",
                (false, true) => "403",
                (false, false) => "404",
            }
        }
        Wanted::Always(_) | Wanted::Somebody => panic!("settled above"),
    }
}

/// Lists of another tenant's are of one's own, which has nothing of that name; and what has the name of
/// another tenant's project is one's own.
pub(super) fn is_list(route: &Route) -> bool {
    matches!(
        (route.method.as_str(), &*route.path),
        (
            "GET",
            "/api/v1/users/{user}/sessions" | "/api/v1/users/{user}/keys" | "/api/v1/members"
        ) | ("GET", "/api/v1/secrets")
            | (
                "PUT",
                "/api/v1/projects/{project}" | "/api/v1/secrets/{secret}"
            )
    )
}

pub(super) fn seen(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "401",
        403 => "403",
        404 => "404",
        // What is done, and what cannot be done for another reason than who asks.
        200..=299 | 409 | 422 => "ok",
        _ => "wrong",
    }
}
