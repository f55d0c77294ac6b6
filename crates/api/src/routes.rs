//! The one table of routes, with what each asks of its caller.

use axum::{Router, middleware};
use http::Method;
use utoipa::openapi::{OpenApi, PathItem};
use utoipa_axum::{
    router::{OpenApiRouter, UtoipaMethodRouter},
    routes,
};

use crate::{
    access::{
        Needs,
        Permission::{
            self, ApprovalsDecide, ApprovalsRead, CatalogRead, ExecutionsControl, ExecutionsRead,
            ExecutionsStart, ExpressionsEvaluate, SignalsSend, WorkflowsPublish, WorkflowsRead,
            WorkflowsWrite,
        },
        authorise,
    },
    actions,
    api::Shared,
    approvals, events, executions, expressions, health, openapi, signals, start, workflows,
};

/// One route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Its method. Whoever may `GET` may `HEAD`.
    pub method: Method,
    /// Its path, with `{names}` for what varies.
    pub path: String,
    /// What it asks of its caller.
    pub needs: Needs,
}

/// Every route of the API.
#[rustfmt::skip]
fn all(table: Table) -> Table {
    table
        .open(routes!(health::live))
        .open(routes!(health::ready))
        .open(routes!(openapi::document))
        .needs(WorkflowsRead, routes!(workflows::list))
        .needs(WorkflowsRead, routes!(workflows::show))
        .needs(WorkflowsWrite, routes!(workflows::save))
        .needs(WorkflowsRead, routes!(workflows::check))
        .needs(WorkflowsRead, routes!(workflows::versions))
        .needs(WorkflowsRead, routes!(workflows::version))
        .needs(WorkflowsRead, routes!(workflows::differences))
        .needs(WorkflowsPublish, routes!(workflows::publish))
        .needs(WorkflowsWrite, routes!(workflows::archive))
        .needs(WorkflowsWrite, routes!(workflows::unarchive))
        .needs(ExecutionsStart, routes!(start::start))
        .needs(ExecutionsRead, routes!(executions::list))
        .needs(ExecutionsControl, routes!(executions::bulk))
        .needs(ExecutionsRead, routes!(executions::show))
        .needs(ExecutionsRead, routes!(executions::report))
        .needs(ExecutionsRead, routes!(executions::output))
        .needs(ExecutionsRead, routes!(executions::journal))
        .needs(ExecutionsRead, routes!(events::of_execution))
        .needs(ExecutionsRead, routes!(events::all))
        .needs(ExecutionsControl, routes!(signals::cancel))
        .needs(ExecutionsControl, routes!(signals::pause))
        .needs(ExecutionsControl, routes!(signals::unpause))
        .needs(ExecutionsControl, routes!(signals::unpark))
        .needs(SignalsSend, routes!(signals::send))
        .needs(ExecutionsStart, routes!(start::retry))
        .needs(ExecutionsStart, routes!(start::restart))
        .needs(ExecutionsControl, routes!(executions::migrate))
        .needs(ApprovalsRead, routes!(approvals::list))
        .needs(ApprovalsDecide, routes!(approvals::vote))
        .open(routes!(approvals::confirm))
        .open(routes!(approvals::redeem))
        .needs(CatalogRead, routes!(actions::list))
        .needs(CatalogRead, routes!(actions::show))
        .needs(ExpressionsEvaluate, routes!(expressions::evaluate))
}

/// The routes of an API, its document, and the table of what each route asks.
pub(crate) fn build(shared: &Shared) -> (Router<Shared>, OpenApi, Vec<Route>) {
    let table = all(Table {
        router: OpenApiRouter::with_openapi(openapi::head()),
        routes: Vec::new(),
        shared: shared.clone(),
    });
    let (router, document) = table.router.split_for_parts();
    (
        router,
        openapi::finish(document, &table.routes),
        table.routes,
    )
}

/// Routes can be added only with what they ask.
struct Table {
    router: OpenApiRouter<Shared>,
    routes: Vec<Route>,
    shared: Shared,
}

impl Table {
    fn open(self, routes: UtoipaMethodRouter<Shared>) -> Self {
        self.add(Needs::Nothing, routes)
    }

    fn needs(self, permission: Permission, routes: UtoipaMethodRouter<Shared>) -> Self {
        self.add(Needs::Permission(permission), routes)
    }

    fn add(mut self, needs: Needs, (schemas, paths, handlers): UtoipaMethodRouter<Shared>) -> Self {
        for (path, item) in &paths.paths {
            self.routes.extend(methods(item).map(|method| Route {
                method,
                path: path.clone(),
                needs,
            }));
        }
        let gate = middleware::from_fn_with_state((self.shared.clone(), needs), authorise);
        let handlers = handlers.route_layer(gate);
        self.router = self.router.routes((schemas, paths, handlers));
        self
    }
}

fn methods(item: &PathItem) -> impl Iterator<Item = Method> {
    let known = [
        (Method::GET, item.get.is_some()),
        (Method::PUT, item.put.is_some()),
        (Method::POST, item.post.is_some()),
        (Method::DELETE, item.delete.is_some()),
        (Method::PATCH, item.patch.is_some()),
    ];
    known
        .into_iter()
        .filter(|(_, there)| *there)
        .map(|(method, _)| method)
}
