//! "Did you mean": the nearest of some known names.

/// The candidate that is most likely meant by `word`, if any is near enough.
///
/// Near is: equal but for case and underscores, or at most a third of the letters wrong.
pub(crate) fn nearest<'c>(
    word: &str,
    candidates: impl IntoIterator<Item = &'c str>,
) -> Option<&'c str> {
    // A long word costs its square; no name that a person mistypes is longer than this.
    const LONGEST: usize = 64;
    if word.is_empty() || word.len() > LONGEST {
        return None;
    }
    let plain = plain(word);
    let allowed = (plain.len() / 3).max(1);
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        // What is that much shorter has more letters missing than may be wrong.
        if candidate.len() > LONGEST || candidate.len() + allowed < plain.len() || candidate == word
        {
            continue;
        }
        let other = self::plain(candidate);
        // `toUpper` for `toUpperCase`: the start of a longer name, from three letters on.
        let starts = plain.len() >= 3 && other.starts_with(&plain);
        let distance = if other.len() <= plain.len() + allowed {
            distance(&plain, &other)
        } else if starts {
            1
        } else if plain.len() >= 5 {
            // `toUper` for `toUpperCase`: shortened and mistyped.
            let start = |len: usize| 1 + distance(&plain, &other[..len]);
            start(plain.len()).min(start(plain.len() + 1))
        } else {
            continue;
        };
        let distance = if starts { distance.min(1) } else { distance };
        if distance <= allowed && best.is_none_or(|(known, _)| distance < known) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, name)| name)
}

/// The hint for [`nearest`], as a sentence.
pub(crate) fn did_you_mean<'c>(
    word: &str,
    candidates: impl IntoIterator<Item = &'c str>,
) -> Option<String> {
    nearest(word, candidates).map(|name| format!("did you mean `{name}`?"))
}

fn plain(word: &str) -> Vec<char> {
    word.chars()
        .filter(|c| *c != '_' && *c != '-')
        .flat_map(char::to_lowercase)
        .collect()
}

/// Edits from one word to the other: insert, delete, replace, swap two neighbours.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    let mut row = last.clone();
    for i in 0..a.len() {
        row[0] = i + 1;
        for j in 0..b.len() {
            let replaced = last[j] + usize::from(a[i] != b[j]);
            row[j + 1] = replaced.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && a[i] == b[j - 1] && a[i - 1] == b[j] {
                row[j + 1] = row[j + 1].min(before[j - 1] + 1);
            }
        }
        std::mem::swap(&mut before, &mut last);
        std::mem::swap(&mut last, &mut row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_typo_and_a_shortened_name_are_recognised() {
        let names = ["toUpperCase", "toLowerCase", "trim", "filter"];
        assert_eq!(nearest("toUpper", names), Some("toUpperCase"));
        assert_eq!(nearest("to_lower_case", names), Some("toLowerCase"));
        assert_eq!(nearest("fliter", names), Some("filter"));
        assert_eq!(nearest("toUper", names), Some("toUpperCase"));
        assert_eq!(nearest("zzzzzz", names), None);
        assert_eq!(nearest("trains", ["transformation"]), None);
    }
}
