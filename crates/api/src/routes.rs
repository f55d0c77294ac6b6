//! The one table of routes, with what each asks of its caller.

use axum::{Router, middleware};
use http::Method;
use utoipa::openapi::{OpenApi, PathItem};
use utoipa_axum::{
    router::{OpenApiRouter, UtoipaMethodRouter},
    routes,
};

use crate::{
    access::{Act, Gate, Needs, authorise},
    actions,
    api::Shared,
    approvals, audit, blobs, changes, connections, consent, credentials, dead_letters, definitions,
    events, executions, expressions, health, hooks, incidents, invitations, metrics, oidc, openapi,
    projects, replay, sessions, settings, signals, start, state, tenants, triggers, users,
    workflows,
};
use nebula_identity::Permission::{
    self, ApprovalsDecide, ApprovalsRead, AuditRead, BlobsRead, CatalogRead, CredentialsRead,
    CredentialsTest, CredentialsWrite, DeadLettersRead, DeadLettersRedrive, ExecutionsControl,
    ExecutionsRead, ExecutionsStart, ExpressionsEvaluate, IncidentsHandle, IncidentsRead, KeysOwn,
    MembersRead, MembersWrite, MetricsRead, ProjectsRead, ProjectsWrite, SecretsRead, SecretsWrite,
    SessionsOwn, SettingsRead, SignalsSend, TenantsRead, TenantsWrite, UsersRead, UsersWrite,
    WorkflowsPublish, WorkflowsRead, WorkflowsWrite,
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
    /// What it does, as the audit log has it: a verb after a noun.
    pub what: &'static str,
    /// Whether it changes something, and so is recorded.
    pub changes: bool,
}

/// Every route of the API. What changes something is recorded under its name before it happens.
#[rustfmt::skip]
fn all(table: Table) -> Table {
    table
        .open("health.live", routes!(health::live))
        .open("health.ready", routes!(health::ready))
        .open("openapi.read", routes!(openapi::document))
        .opens("users.add_first", routes!(sessions::setup))
        .opens("sessions.open", routes!(sessions::login))
        .open("sessions.refresh", routes!(sessions::refresh))
        .open("sessions.begin", routes!(oidc::begin))
        .opens("sessions.open", routes!(oidc::callback))
        .opens("invitations.accept", routes!(invitations::accept))
        .somebody("sessions.close", routes!(sessions::logout))
        .somebody("users.me", routes!(sessions::me))
        .somebody("tickets.make", routes!(sessions::ticket))
        .changes(SessionsOwn, "passwords.change", routes!(sessions::change_password))
        .reads(SessionsOwn, "sessions.list", routes!(sessions::list))
        .changes(SessionsOwn, "sessions.close", routes!(sessions::close_all))
        .changes(SessionsOwn, "sessions.close", routes!(sessions::close_one))
        .reads(UsersRead, "users.list", routes!(users::list))
        .changes(UsersWrite, "users.add", routes!(users::add))
        .reads(UsersRead, "users.show", routes!(users::show))
        .changes(UsersWrite, "users.delete", routes!(users::remove))
        .changes(UsersWrite, "users.disable", routes!(users::disable))
        .changes(UsersWrite, "passwords.change", routes!(users::set_password))
        .reads(KeysOwn, "keys.list", routes!(users::keys))
        .changes(KeysOwn, "keys.make", routes!(users::make_key))
        .changes(KeysOwn, "keys.remove", routes!(users::remove_key))
        .reads(ProjectsRead, "projects.list", routes!(projects::list))
        .changes(ProjectsWrite, "projects.put", routes!(projects::put))
        .changes(ProjectsWrite, "projects.delete", routes!(projects::remove))
        .reads(MembersRead, "members.list", routes!(projects::members))
        .changes(MembersWrite, "members.change", routes!(projects::change_member))
        .reads(MembersRead, "members.list", routes!(projects::members_everywhere))
        .changes(MembersWrite, "members.change", routes!(projects::change_member_everywhere))
        .changes(MembersWrite, "users.invite", routes!(invitations::invite))
        .reads(MembersRead, "invitations.list", routes!(invitations::list))
        .changes(MembersWrite, "invitations.revoke", routes!(invitations::revoke))
        .reads(TenantsRead, "tenants.list", routes!(tenants::list))
        .reads(TenantsRead, "tenants.show", routes!(tenants::show))
        .changes(TenantsWrite, "tenants.put", routes!(tenants::put))
        .changes(TenantsWrite, "tenants.set_up", routes!(tenants::set_up))
        .reads(AuditRead, "audit.read", routes!(audit::list))
        .reads(AuditRead, "audit.export", routes!(audit::export))
        .reads(AuditRead, "audit.verify", routes!(audit::verify))
        .reads(WorkflowsRead, "workflows.list", routes!(workflows::list))
        .reads(WorkflowsRead, "workflows.show", routes!(workflows::show))
        .changes(WorkflowsWrite, "workflows.save", routes!(workflows::save))
        .reads(WorkflowsRead, "workflows.check", routes!(definitions::check))
        .reads(WorkflowsRead, "workflows.versions", routes!(workflows::versions))
        .reads(WorkflowsRead, "workflows.version", routes!(workflows::version))
        .reads(WorkflowsRead, "workflows.diff", routes!(workflows::differences))
        .changes(WorkflowsPublish, "workflows.publish", routes!(workflows::publish))
        .changes(WorkflowsWrite, "workflows.archive", routes!(workflows::archive))
        .changes(WorkflowsWrite, "workflows.unarchive", routes!(workflows::unarchive))
        .changes(WorkflowsWrite, "workflows.move", routes!(workflows::relocate))
        .reads(WorkflowsRead, "triggers.list", routes!(triggers::list))
        .changes(ExecutionsControl, "triggers.pause", routes!(triggers::pause))
        .changes(ExecutionsControl, "triggers.unpause", routes!(triggers::unpause))
        .changes(ExecutionsStart, "triggers.fire", routes!(triggers::fire))
        .changes(ExecutionsStart, "triggers.backfill", routes!(triggers::backfill))
        .changes(WorkflowsPublish, "triggers.rotate", routes!(triggers::rotate))
        .open("hooks.call", routes!(hooks::call))
        .below("/hooks/{hook}/{*rest}")
        .changes(ExecutionsStart, "executions.start", routes!(start::start))
        .reads(ExecutionsRead, "executions.list", routes!(executions::list))
        .changes(ExecutionsControl, "executions.bulk", routes!(executions::bulk))
        .reads(ExecutionsRead, "executions.show", routes!(executions::show))
        .reads(ExecutionsRead, "executions.report", routes!(executions::report))
        .reads(ExecutionsRead, "executions.output", routes!(executions::output))
        .reads(ExecutionsRead, "executions.journal", routes!(executions::journal))
        .reads(ExecutionsRead, "executions.replay", routes!(replay::steps))
        .reads(ExecutionsRead, "executions.replay", routes!(replay::moment))
        .reads(BlobsRead, "blobs.list", routes!(blobs::list))
        .reads(BlobsRead, "blobs.read", routes!(blobs::read))
        .live(ExecutionsRead, "executions.watch", routes!(events::of_execution))
        .live(ExecutionsRead, "executions.watch", routes!(events::all))
        .live(ExecutionsRead, "executions.watch", routes!(changes::watch))
        .changes(ExecutionsControl, "executions.cancel", routes!(signals::cancel))
        .changes(ExecutionsControl, "executions.pause", routes!(signals::pause))
        .changes(ExecutionsControl, "executions.unpause", routes!(signals::unpause))
        .changes(ExecutionsControl, "executions.unpark", routes!(signals::unpark))
        .changes(SignalsSend, "signals.send", routes!(signals::send))
        .changes(ExecutionsStart, "executions.retry", routes!(start::retry))
        .changes(ExecutionsStart, "executions.restart", routes!(start::restart))
        .changes(ExecutionsControl, "executions.migrate", routes!(executions::migrate))
        .reads(ApprovalsRead, "approvals.list", routes!(approvals::list))
        .live(ApprovalsRead, "approvals.watch", routes!(events::of_approvals))
        .changes(ApprovalsDecide, "approvals.vote", routes!(approvals::vote))
        .open("approvals.show", routes!(approvals::confirm))
        .opens("approvals.redeem", routes!(approvals::redeem))
        .reads(CredentialsRead, "credentials.types", routes!(credentials::types))
        .reads(CredentialsRead, "credentials.list", routes!(credentials::list))
        .changes(CredentialsWrite, "credentials.put", routes!(credentials::put))
        .changes(CredentialsWrite, "credentials.delete", routes!(credentials::remove))
        .changes(CredentialsTest, "credentials.test", routes!(connections::test))
        .changes(CredentialsWrite, "credentials.ask_consent", routes!(consent::authorize))
        .changes(CredentialsWrite, "credentials.consent", routes!(consent::callback))
        .reads(CredentialsRead, "credentials.uses", routes!(credentials::uses))
        .reads(SecretsRead, "secrets.list", routes!(credentials::secrets))
        .changes(SecretsWrite, "secrets.set", routes!(credentials::set_secret))
        .changes(SecretsWrite, "secrets.delete", routes!(credentials::remove_secret))
        .reads(CatalogRead, "actions.list", routes!(actions::list))
        .reads(CatalogRead, "actions.show", routes!(actions::show))
        .reads(ExpressionsEvaluate, "expressions.evaluate", routes!(expressions::evaluate))
        .reads(DeadLettersRead, "dead_letters.list", routes!(dead_letters::list))
        .changes(DeadLettersRedrive, "dead_letters.redrive", routes!(dead_letters::redrive))
        .reads(IncidentsRead, "incidents.list", routes!(incidents::list))
        .reads(IncidentsRead, "incidents.show", routes!(incidents::show))
        .changes(IncidentsHandle, "incidents.acknowledge", routes!(incidents::acknowledge))
        .changes(IncidentsHandle, "incidents.resolve", routes!(incidents::resolve))
        .reads(SettingsRead, "settings.read", routes!(settings::show))
        .reads(MetricsRead, "metrics.read", routes!(metrics::read))
        .reads(SettingsRead, "state.read", routes!(state::show))
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
    /// Anybody may call it; it changes nothing.
    fn open(self, what: &'static str, routes: UtoipaMethodRouter<Shared>) -> Self {
        self.add(act(Needs::Nothing, what), false, routes)
    }

    /// Anybody may call it who has what its body or path shows.
    fn opens(self, what: &'static str, routes: UtoipaMethodRouter<Shared>) -> Self {
        self.add(act(Needs::Nothing, what), true, routes)
    }

    fn somebody(self, what: &'static str, routes: UtoipaMethodRouter<Shared>) -> Self {
        self.add(act(Needs::Somebody, what), false, routes)
    }

    fn reads(
        self,
        permission: Permission,
        what: &'static str,
        routes: UtoipaMethodRouter<Shared>,
    ) -> Self {
        self.add(act(Needs::Permission(permission), what), false, routes)
    }

    fn changes(
        self,
        permission: Permission,
        what: &'static str,
        routes: UtoipaMethodRouter<Shared>,
    ) -> Self {
        self.add(act(Needs::Permission(permission), what), true, routes)
    }

    /// It streams, so that a ticket opens it, too.
    fn live(
        self,
        permission: Permission,
        what: &'static str,
        routes: UtoipaMethodRouter<Shared>,
    ) -> Self {
        let live = Act {
            live: true,
            ..act(Needs::Permission(permission), what)
        };
        self.add(live, false, routes)
    }

    /// What users define below the address of a webhook; the document tells of the address itself.
    fn below(mut self, path: &str) -> Self {
        let gate = Gate {
            shared: self.shared.clone(),
            act: act(Needs::Nothing, "hooks.call"),
        };
        let handler = axum::routing::any(hooks::call);
        let handler = handler.layer(middleware::from_fn_with_state(gate, authorise));
        self.router = self.router.route(path, handler);
        self
    }

    fn add(
        mut self,
        act: Act,
        changes: bool,
        (schemas, paths, handlers): UtoipaMethodRouter<Shared>,
    ) -> Self {
        for (path, item) in &paths.paths {
            self.routes.extend(methods(item).map(|method| Route {
                method,
                path: path.clone(),
                needs: act.needs,
                what: act.what,
                changes,
            }));
        }
        let gate = Gate {
            shared: self.shared.clone(),
            act,
        };
        let handlers = handlers.route_layer(middleware::from_fn_with_state(gate, authorise));
        self.router = self.router.routes((schemas, paths, handlers));
        self
    }
}

fn act(needs: Needs, what: &'static str) -> Act {
    Act {
        needs,
        what,
        live: false,
    }
}

fn methods(item: &PathItem) -> impl Iterator<Item = Method> {
    let known = [
        (Method::GET, item.get.is_some()),
        (Method::PUT, item.put.is_some()),
        (Method::POST, item.post.is_some()),
        (Method::DELETE, item.delete.is_some()),
        (Method::PATCH, item.patch.is_some()),
        (Method::OPTIONS, item.options.is_some()),
    ];
    known
        .into_iter()
        .filter(|(_, there)| *there)
        .map(|(method, _)| method)
}
