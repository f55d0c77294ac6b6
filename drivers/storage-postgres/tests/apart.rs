//! Row level security: who says for which tenant a transaction is sees nothing of others in it, also where a
//! statement forgets to ask for that tenant alone.
#![cfg(unix)]

mod support;

use nebula_core::TenantId;
use nebula_execution::NewExecution;
use nebula_ports::{
    Created, DedupeKey, ExecutionFilter, ExecutionRepo as _, IdentityRepo as _, ProjectRecord,
    Quotas, RecordPut, Tenant, TenantPut, TenantRepo as _, Weight,
};
use nebula_testkit::{
    agree, run,
    servers::{Database, TestPostgres},
};
use support::{new_execution, open};

static SERVER: TestPostgres = TestPostgres::new();

/// What is done with each table that has a tenant, and at last.
fn with_each_table(each: &str, last: &str) -> String {
    format!(
        "DO $$
DECLARE named name; found bigint; own bigint; tables bigint := 0; shared bigint := 0;
BEGIN
    FOR named IN SELECT c.relname FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid
        WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p')
            AND a.attname = 'tenant' AND NOT a.attisdropped
    LOOP
        tables := tables + 1;
        {each}
    END LOOP;
    IF tables < 30 THEN RAISE EXCEPTION 'only % tables have a tenant', tables; END IF;
    {last}
END $$"
    )
}

/// No table forgets it: neither one of today nor one that comes.
const IS_FORCED: &str = "IF NOT (SELECT relrowsecurity AND relforcerowsecurity FROM pg_class WHERE oid = named::regclass)
        THEN RAISE EXCEPTION '% holds nobody to its policies', named; END IF;
    IF NOT EXISTS (SELECT 1 FROM pg_policies WHERE tablename = named AND policyname = 'tenants_apart')
        THEN RAISE EXCEPTION '% has no policy', named; END IF;";

/// A statement without a WHERE.
const SHOWS_ITS_OWN: &str = "PERFORM set_config('nebula.tenant', '', true);
    EXECUTE format('SELECT count(*) FROM %I WHERE tenant = ''local''', named) INTO own;
    EXECUTE format('SELECT count(*) FROM %I', named) INTO found;
    IF own > 0 AND found > own THEN shared := shared + 1; END IF;
    PERFORM set_config('nebula.tenant', 'local', true);
    EXECUTE format('SELECT count(*) FROM %I', named) INTO found;
    IF found <> own THEN RAISE EXCEPTION '% shows % rows, and % are its own', named, found, own; END IF;";

/// What nobody shares proves nothing.
const SOMETHING: &str = "IF shared < 8 THEN RAISE EXCEPTION 'only % tables have rows of several tenants', shared; END IF;";

/// Rows of others are neither changed nor added.
const WRITES_ITS_OWN: &str = "DO $$
DECLARE changed bigint;
BEGIN
    PERFORM set_config('nebula.tenant', 'local', true);
    UPDATE projects SET name = 'taken';
    GET DIAGNOSTICS changed = ROW_COUNT;
    IF changed <> 1 THEN RAISE EXCEPTION 'changed %', changed; END IF;
    DELETE FROM projects WHERE tenant = 'acme';
    BEGIN
        INSERT INTO projects (tenant, id, version, name) VALUES ('acme', 'mine', 1, 'x');
    EXCEPTION WHEN insufficient_privilege THEN RETURN;
    END;
    RAISE EXCEPTION 'a row of another tenant was added';
END $$";

/// From now on nothing is seen where nothing is said.
const STRICT: &str = "EXECUTE format(
    'ALTER POLICY tenants_apart ON %I USING (tenant = current_setting(''nebula.tenant'', true))', named);";

fn acme() -> TenantId {
    TenantId::new("acme").unwrap()
}

fn project(name: &str) -> ProjectRecord {
    ProjectRecord {
        id: nebula_core::ProjectId::new("shop").unwrap(),
        version: 1,
        name: name.to_owned(),
    }
}

/// A database in which two tenants have something.
fn shared() -> Option<Database<'static>> {
    let database = SERVER.get()?.database();
    fill(&database.address());
    Some(database)
}

fn fill(address: &str) {
    run(async {
        let store = open(address, None).await;
        for (n, tenant) in [(1, TenantId::local()), (2, acme())] {
            let new = NewExecution {
                tenant: tenant.clone(),
                ..new_execution(n)
            };
            let key = Some(DedupeKey("filled".to_owned()));
            let created = store.create(&tenant, new, key, None).await.unwrap();
            assert_eq!(created, Created::Created(None));
            let put = store.put_project(&tenant, project("a project")).await;
            assert_eq!(put.unwrap(), RecordPut::Stored);
            let settled = Tenant {
                id: tenant.clone(),
                version: 1,
                name: "x".to_owned(),
                disabled: false,
                quotas: Quotas::default(),
                weight: Weight::default(),
            };
            assert_eq!(store.put_tenant(settled).await.unwrap(), TenantPut::Stored);
        }
    });
}

#[test]
fn every_table_holds_everybody_to_its_policy() {
    let Some(database) = shared() else { return };
    database.ask_as_owner(&with_each_table(IS_FORCED, ""));
}

#[test]
fn a_transaction_of_one_tenant_sees_no_row_of_another() {
    let Some(server) = SERVER.get() else { return };
    let database = server.database();
    let address = database.address();
    // Whatever there is to keep of executions, of several tenants.
    agree::execution_repos(1, 600, |clock| {
        let address = address.clone();
        async move { open(&address, Some(clock)).await as _ }
    });
    fill(&address);
    database.ask_as_owner(&with_each_table(SHOWS_ITS_OWN, SOMETHING));
    database.ask_as_owner(WRITES_ITS_OWN);
}

#[test]
fn what_is_asked_of_one_tenant_says_so() {
    let Some(database) = shared() else { return };
    database.ask_as_owner(&with_each_table(STRICT, ""));
    let address = database.address();
    run(async {
        let store = open(&address, None).await;
        for (n, tenant) in [(1, TenantId::local()), (2, acme())] {
            let id = new_execution(n).id;
            let found = store.get(&tenant, id).await.unwrap();
            assert!(found.is_some(), "{tenant}");
            let page = store.journal(&tenant, id, 1, 10).await.unwrap();
            assert_eq!(page.entries.len(), 1);
            let filter = ExecutionFilter::default();
            let listed = store.list(&tenant, &filter, None, 10).await.unwrap();
            assert_eq!(listed.items.len(), 1);
            assert_eq!(store.usage(&tenant).await.unwrap().executions, 1);
            let projects = store.projects(&tenant, None, 10).await.unwrap();
            assert_eq!(projects, [project("a project")]);
            assert!(store.tenant(&tenant).await.unwrap().is_some());
        }
        // What is asked of all says nothing, and would see all where policies let it.
        assert_eq!(store.backlog().await.unwrap().open.values().sum::<u64>(), 0);
        assert_eq!(store.tenants(None, 10).await.unwrap(), []);
    });
}
