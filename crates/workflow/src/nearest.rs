//! "Did you mean …?": the name that is nearest to a misspelt one.

/// Names longer than this have no neighbours: the comparison costs the product of both lengths.
const MAX_NAME: usize = 64;

/// The candidate that is most likely meant by `name`; the first one, if several are as near.
///
/// Letters differ by case for free; up to a third of the name may be wrong, where one swap of
/// neighbours counts as one error.
pub fn nearest<'c>(name: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let wanted: Vec<char> = name.chars().take(MAX_NAME + 1).collect();
    if wanted.is_empty() || wanted.len() > MAX_NAME {
        return None;
    }
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        let letters: Vec<char> = candidate.chars().take(MAX_NAME + 1).collect();
        let allowed = (wanted.len().max(letters.len()) / 3).max(1);
        if letters.len() > MAX_NAME || letters.len().abs_diff(wanted.len()) > allowed {
            continue;
        }
        let distance = distance(&wanted, &letters);
        // A single letter is one error away from every other.
        let related = distance <= allowed && distance < wanted.len().max(letters.len());
        if related && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// Optimal string alignment distance, blind to case.
fn distance(a: &[char], b: &[char]) -> usize {
    let same = |x: char, y: char| x == y || x.to_lowercase().eq(y.to_lowercase());
    let mut before: Vec<usize> = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 0..a.len() {
        let mut row = vec![i + 1; b.len() + 1];
        for j in 0..b.len() {
            let swap = usize::from(!same(a[i], b[j]));
            row[j + 1] = (last[j] + swap).min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && same(a[i], b[j - 1]) && same(a[i - 1], b[j]) {
                row[j + 1] = row[j + 1].min(before[j - 1] + 1);
            }
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, candidates: &[&str], expected: Option<&str>) {
        assert_eq!(
            nearest(name, candidates.iter().copied()),
            expected,
            "{name}"
        );
    }

    #[test]
    fn a_misspelt_name_finds_its_neighbour() {
        check("retri", &["requires", "retry", "timeout"], Some("retry"));
        check("fecth", &["fetch", "fetched"], Some("fetch"));
        check("Timeout", &["timeout"], Some("timeout"));
        check("on-error", &["on_error"], Some("on_error"));
        check("paramters", &["parameters"], Some("parameters"));
    }

    #[test]
    fn a_strange_name_has_no_neighbour() {
        check("a", &["b"], None);
        check("", &["a"], None);
        check("schedule", &["nodes", "name"], None);
        check(&"x".repeat(10_000), &["x"], None);
        check("x", &[&"x".repeat(10_000)], None);
    }
}
