//! Every statement finds its rows by an index: where it could, no table is walked.
#![cfg(unix)]

mod support;

use nebula_storage_postgres::Postgres;
use nebula_testkit::{agree, run, servers};
use support::open;

/// Waits until nobody is connected any more, whose counts come with their end, and says which tables were walked.
/// Of those that are left out each has a bounded number of rows, and all of them are wanted.
const WALKED: &str = "DO $$
DECLARE walked text;
BEGIN
    WHILE EXISTS (SELECT 1 FROM pg_stat_activity WHERE application_name = 'nebula') LOOP
        PERFORM pg_sleep(0.02);
        -- What was seen once is seen again, until this.
        PERFORM pg_stat_clear_snapshot();
    END LOOP;
    PERFORM pg_stat_clear_snapshot();
    IF NOT EXISTS (SELECT 1 FROM pg_stat_user_tables WHERE relname = 'executions' AND idx_scan > 1000) THEN
        RAISE EXCEPTION 'nothing was counted';
    END IF;
    SELECT string_agg(relname || ' ' || seq_scan, ', ') INTO walked FROM pg_stat_user_tables
        WHERE seq_scan > 0 AND relname NOT IN ('store', 'duties', 'schema_version');
    IF walked IS NOT NULL THEN
        RAISE EXCEPTION 'walked: %', walked;
    END IF;
END $$";

#[test]
fn no_table_is_walked_that_has_an_index() {
    // What has no index is walked all the same.
    let settings = ["-c", "fsync=off", "-c", "enable_seqscan=off"];
    let Some(server) = servers::Postgres::start(&settings) else {
        return;
    };
    let database = server.database();
    let address = database.address();
    // Its tables are made first: indexes of empty tables are made by walking them.
    drop::<std::sync::Arc<Postgres>>(run(open(&address, None)));
    database.ask("SELECT pg_stat_reset()");
    let address = address.as_str();
    agree::execution_repos(1, 1_500, |clock| async move {
        open(address, Some(clock)).await as _
    });
    agree::credential_repos(1, 300, |clock| async move {
        open(address, Some(clock)).await as _
    });
    agree::identity_repos(1, 300, |clock| async move {
        open(address, Some(clock)).await as _
    });
    agree::session_repos(1, 300, |clock| async move {
        open(address, Some(clock)).await as _
    });
    database.ask(WALKED);
}
