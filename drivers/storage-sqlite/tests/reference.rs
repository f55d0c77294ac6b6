//! The reference workflows over this store: whatever dies when, the same comes of them.

use std::sync::Arc;

use nebula_storage_sqlite::{Sqlite, SqliteConfig};
use nebula_testkit::reference;

/// Every so many calls of a workflow are looked at here; the models look at all.
const EACH: usize = 9;

#[test]
#[expect(
    clippy::print_stdout,
    reason = "how many lives there were is worth knowing"
)]
fn whatever_dies_when_the_same_comes_of_every_reference_workflow() {
    let survived = reference::survive(EACH, |clock| async move {
        let store = Sqlite::open(SqliteConfig::ephemeral(), clock).await;
        let store = Arc::new(store.expect("nothing stands in the way"));
        (store.clone() as Arc<_>, store as Arc<_>)
    });
    let lives: usize = survived.lives.values().sum();
    println!("{} workflows, {lives} lives", survived.lives.len());
    assert_eq!(survived.wrong, Vec::<&str>::new());
}
