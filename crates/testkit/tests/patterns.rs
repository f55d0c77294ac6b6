//! The control-flow patterns on the whole engine, over the in-memory models.

use std::sync::Arc;

use nebula_testkit::{MemoryExecutionRepo, MemoryWorkflowRepo};

nebula_testkit::control_flow_patterns!(|clock| async move {
    (
        Arc::new(MemoryExecutionRepo::new(clock.clone())) as Arc<_>,
        Arc::new(MemoryWorkflowRepo::new(clock)) as Arc<_>,
    )
});

/// `pattern_09_…` is the ninth.
fn number(pattern: &str) -> usize {
    pattern["pattern_".len()..][..2].parse().unwrap()
}

#[test]
fn the_page_about_patterns_says_which_have_a_test() {
    let page = include_str!("../../../docs/patterns.md");
    let rows = page.lines().filter_map(|line| {
        let mut cells = line.split(" | ");
        let number: usize = cells.next()?.strip_prefix("| ")?.parse().ok()?;
        let (_name, direct, reason) = (cells.next()?, cells.next()?, cells.next()?);
        assert!(
            reason.len() > " |".len(),
            "{number}: what does it, or why nothing does"
        );
        Some((number, direct == "yes"))
    });
    let tested: Vec<_> = nebula_testkit::patterns::NAMES
        .iter()
        .map(|name| number(name))
        .collect();
    let expected: Vec<_> = (1..=43)
        .map(|number| (number, tested.contains(&number)))
        .collect();
    assert_eq!(rows.collect::<Vec<_>>(), expected);
}
