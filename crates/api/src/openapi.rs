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
        security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme},
    },
};

use crate::{
    access::Needs,
    api::Shared,
    problem::{Misfit, ProblemBody},
    routes::Route,
};

/// The name of the scheme by which callers show their token.
const BEARER: &str = "bearer";

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
        if let Needs::Permission(permission) = route.needs {
            let security = SecurityRequirement::new(BEARER, Vec::<String>::new());
            operation.security = Some(vec![security]);
            let said = operation.description.take().unwrap_or_default();
            let said = format!("{said}\n\nNeeds the permission `{permission}`.");
            operation.description = Some(said.trim_start().to_owned());
        }
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
