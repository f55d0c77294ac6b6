//! "Did you mean …?": the name that is nearest to a misspelt one.

/// Names longer than this have no neighbours: the comparison costs the product of both lengths.
const MAX_NAME: usize = 64;

/// The candidate that is most likely meant by `name`; the first one, if several are as near.
///
/// Letters differ by case for free; up to a third of the name may be wrong, where one swap of
/// neighbours counts as one error.
pub fn nearest<'c>(name: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let wanted = letters_of(name);
    if wanted.is_empty() || wanted.len() > MAX_NAME {
        return None;
    }
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        let letters = letters_of(candidate);
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

/// The letters of a name in lower case; one too many if it is too long.
fn letters_of(name: &str) -> Vec<char> {
    let lower = name.chars().flat_map(char::to_lowercase);
    lower.take(MAX_NAME + 1).collect()
}

/// Optimal string alignment distance.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    let mut row = last.clone();
    for i in 0..a.len() {
        row[0] = i + 1;
        for j in 0..b.len() {
            let swap = usize::from(a[i] != b[j]);
            let mut least = (last[j] + swap).min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && a[i] == b[j - 1] && a[i - 1] == b[j] {
                least = least.min(before[j - 1] + 1);
            }
            row[j + 1] = least;
        }
        // The oldest row is the next one to be written.
        std::mem::swap(&mut before, &mut last);
        std::mem::swap(&mut last, &mut row);
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
