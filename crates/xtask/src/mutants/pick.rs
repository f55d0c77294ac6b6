//! Which changes of a package are judged: all, or so many drawn at random.

use std::{collections::BTreeMap, fs, path::Path};

/// So many changes, drawn by this seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sample {
    pub(super) size: usize,
    pub(super) seed: u64,
}

impl Sample {
    /// Draws from `names`, each as likely as any other, in their order. The same names and seed give
    /// the same sample, and a larger one of the same seed has all that a smaller one has.
    pub(super) fn draw(self, names: &[String]) -> Vec<String> {
        let mut places: Vec<_> = (0..names.len()).collect();
        let mut state = self.seed;
        let size = self.size.min(places.len());
        for at in 0..size {
            let left = (places.len() - at) as u64;
            #[expect(clippy::cast_possible_truncation, reason = "it is below `left`")]
            let from = at + (next(&mut state) % left) as usize;
            places.swap(at, from);
        }
        places.truncate(size);
        places.sort_unstable();
        places.into_iter().map(|at| names[at].clone()).collect()
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014): the same for ever, whatever becomes of any crate.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// The range in which the share of all changes lies with a probability of 95 %, in percent, if
/// `part` of `of` drawn at random are such (Wilson's score interval).
#[expect(clippy::cast_precision_loss, reason = "there are some thousands")]
pub(super) fn confidence(part: usize, of: usize) -> (f64, f64) {
    if of == 0 {
        return (0.0, 100.0);
    }
    let (share, of, z) = (part as f64 / of as f64, of as f64, 1.96_f64);
    let middle = share + z * z / (2.0 * of);
    let half = z * (share * (1.0 - share) / of + z * z / (4.0 * of * of)).sqrt();
    let scale = 100.0 / (1.0 + z * z / of);
    (scale * (middle - half), scale * (middle + half))
}

/// Takes out the changes of lines that are not compiled when tests run: the planted defects.
pub(super) fn compiled(tree: &Path, names: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut planted = BTreeMap::new();
    let mut is_compiled = |name: &String| {
        let mut parts = name.splitn(3, ':');
        let (Some(file), Some(line)) = (parts.next(), parts.next()) else {
            return true;
        };
        let lines = planted.entry(file.to_owned()).or_insert_with(|| {
            planted_lines(&fs::read_to_string(tree.join(file)).unwrap_or_default())
        });
        line.parse().is_ok_and(|line: usize| !lines.contains(&line))
    };
    names.into_iter().filter(|name| is_compiled(name)).collect()
}

/// The lines, from 1 on, of each statement, arm or item under `#[cfg(sim_bug)]` in formatted code: up
/// to the first that ends it at the depth where it began.
fn planted_lines(source: &str) -> Vec<usize> {
    let (mut planted, mut depth, mut inside) = (vec![], 0_isize, false);
    for (at, line) in source.lines().enumerate() {
        let line = line.trim();
        if line == "#[cfg(sim_bug)]" {
            (inside, depth) = (true, 0);
        } else if inside {
            planted.push(at + 1);
            depth += balance(line);
            // An attribute of its own belongs to what follows it.
            inside = depth > 0 || !line.ends_with([';', '}', ',']) || line.starts_with("#[");
        }
    }
    planted
}

/// How many brackets are open after a line, those in strings and characters left out.
fn balance(line: &str) -> isize {
    let (mut depth, mut quoted) = (0, false);
    for (at, byte) in line.bytes().enumerate() {
        match byte {
            b'"' if !line[..at].ends_with(['\\', '\'']) => quoted = !quoted,
            b'(' | b'[' | b'{' if !quoted => depth += 1,
            b')' | b']' | b'}' if !quoted => depth -= 1,
            _ => {}
        }
    }
    depth
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(many: usize) -> Vec<String> {
        (0..many).map(|at| format!("src/a.rs:{at}:1: x")).collect()
    }

    #[test]
    fn a_sample_is_the_same_each_time_and_grows_without_losing_any() {
        let all = names(500);
        let draw = |size, seed| Sample { size, seed }.draw(&all);
        let (small, large) = (draw(20, 7), draw(60, 7));
        assert_eq!((small.len(), large.len()), (20, 60));
        assert!(small.iter().all(|name| large.contains(name)));
        assert_ne!(small, draw(20, 8));
        assert_eq!(draw(900, 7), all);
    }

    #[test]
    fn each_change_is_drawn_as_often_as_any_other() {
        let all = names(10);
        let mut drawn = [0; 10];
        for seed in 0..5_000 {
            for name in (Sample { size: 3, seed }).draw(&all) {
                drawn[all.iter().position(|it| *it == name).unwrap()] += 1;
            }
        }
        // 1,500 of each, give or take four times the standard deviation of 32.
        assert!(
            drawn.iter().all(|it| (1_370..1_630).contains(it)),
            "{drawn:?}"
        );
    }

    #[test]
    fn the_range_is_that_of_the_tables() {
        let (low, high) = confidence(45, 50);
        assert_eq!(format!("{low:.1} {high:.1}"), "78.6 95.7");
        assert_eq!(format!("{:.1}", confidence(20, 20).0), "83.9");
        assert_eq!(confidence(0, 0), (0.0, 100.0));
    }

    #[test]
    fn planted_defects_are_left_alone_and_nothing_else() {
        let source = r#"fn f() {
    let a = 1;
    #[cfg(sim_bug)]
    let a = match awake("{") {
        true => 2,
        false => a,
    };
    #[cfg(sim_bug)]
    #[allow(unused)]
    let b =
        a > 1 && awake("b");
    #[cfg(not(sim_bug))]
    let b = true;
    #[cfg(sim_bug)]
    if b {
        return;
    }
    g(a, b);
}
"#;
        let planted = [4, 5, 6, 7, 9, 10, 11, 15, 16, 17];
        assert_eq!(planted_lines(source), planted);
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("src")).unwrap();
        fs::write(folder.path().join("src/a.rs"), source).unwrap();
        let left = compiled(folder.path(), names(19));
        let wanted = names(19).into_iter().enumerate();
        let wanted = wanted.filter(|(at, _)| !planted.contains(at));
        assert_eq!(left, wanted.map(|(_, name)| name).collect::<Vec<_>>());
    }
}
