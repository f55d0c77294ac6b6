//! The OpenAPI document: made from the routes, finished here, served as it is.

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, header};
use utoipa::{
    PartialSchema as _, ToSchema as _,
    openapi::{
        Components, Content, InfoBuilder, OpenApi, OpenApiBuilder, Ref, RefOr, ResponseBuilder,
        path::Operation,
        security::{
            ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityRequirement, SecurityScheme,
        },
    },
};

use crate::{
    access::{COOKIE, Needs},
    api::Shared,
    problem::{Misfit, ProblemBody},
    routes::Route,
};

/// The name of the scheme by which callers show their token.
const BEARER: &str = "bearer";

/// The name of the scheme of browsers: the cookie of their session, with a CSRF token for what changes
/// something.
const SESSION: &str = "session";

/// The document without its paths.
pub(crate) fn head() -> OpenApi {
    let info = InfoBuilder::new()
        .title("Nebula")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "Workflows and their executions. Every answer that is no success is problem details with a stable `code`.",
        ))
        .build();
    OpenApiBuilder::new().info(info).build()
}

/// Adds what all operations have in common: how they fail, and what they ask of their caller.
pub(crate) fn finish(mut document: OpenApi, routes: &[Route]) -> OpenApi {
    let components = document.components.get_or_insert_with(Components::new);
    let own = [
        (ProblemBody::name(), ProblemBody::schema()),
        (Misfit::name(), Misfit::schema()),
    ];
    for (name, schema) in own {
        components.schemas.insert(name.into_owned(), schema);
    }
    let scheme = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    components.add_security_scheme(BEARER, scheme);
    let cookie = ApiKey::Cookie(ApiKeyValue::new(COOKIE));
    components.add_security_scheme(SESSION, SecurityScheme::ApiKey(cookie));
    for route in routes {
        let item = document.paths.paths.get_mut(&route.path);
        let Some(operation) = item.and_then(|item| operation(item, route)) else {
            continue;
        };
        let content = Content::new(Some(RefOr::Ref(Ref::from_schema_name(ProblemBody::name()))));
        let failure = ResponseBuilder::new()
            .description("Why it failed.")
            .content("application/problem+json", content)
            .build();
        operation
            .responses
            .responses
            .insert("default".to_owned(), failure.into());
        let needs = match route.needs {
            Needs::Nothing => continue,
            Needs::Somebody => "Needs somebody, whoever it is.".to_owned(),
            Needs::Permission(permission) => format!("Needs the permission `{permission}`."),
        };
        let scheme = |name| SecurityRequirement::new(name, Vec::<String>::new());
        operation.security = Some(vec![scheme(BEARER), scheme(SESSION)]);
        let said = operation.description.take().unwrap_or_default();
        operation.description = Some(format!("{said}\n\n{needs}").trim_start().to_owned());
    }
    document
}

fn operation<'a>(
    item: &'a mut utoipa::openapi::PathItem,
    route: &Route,
) -> Option<&'a mut Operation> {
    let operation = match route.method.as_str() {
        "GET" => &mut item.get,
        "PUT" => &mut item.put,
        "POST" => &mut item.post,
        "DELETE" => &mut item.delete,
        "PATCH" => &mut item.patch,
        "OPTIONS" => &mut item.options,
        _ => return None,
    };
    operation.as_mut()
}

/// This document.
#[utoipa::path(
    get,
    path = "/api/v1/openapi.json",
    tag = "health",
    responses((status = 200, description = "OpenAPI 3.1", content_type = "application/json"))
)]
pub(crate) async fn document(State(shared): State<Shared>) -> Response {
    let json = HeaderValue::from_static("application/json");
    let document = shared.document.get().cloned().unwrap_or_default();
    ([(header::CONTENT_TYPE, json)], document).into_response()
}
