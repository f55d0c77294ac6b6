//! The sums over all cases, and what of them must hold.

use std::{collections::BTreeMap, fmt::Write as _};

use super::{
    case::{Case, Verdict},
    excluded,
    known::Known,
};

/// Right cases in a hundred, below which a run fails.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Floors {
    /// Of those that are not excluded.
    pub(crate) of_others: f64,
    pub(crate) of_all: f64,
}

/// What was reached; the goals are 99.5 and 95.
pub(crate) const FLOORS: Floors = Floors {
    of_others: 99.95,
    of_all: 98.0,
};

/// Cases by their verdict.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Count {
    right: usize,
    wrong: usize,
    refused: usize,
    /// Of the refused ones, those that use what the language leaves out.
    excluded: usize,
}

impl Count {
    fn all(self) -> usize {
        self.right + self.wrong + self.refused
    }
}

/// What a run gave.
#[derive(Debug, Default)]
pub(crate) struct Score {
    folders: BTreeMap<String, Count>,
    sum: Count,
    /// Refused cases per row of the list of exclusions.
    rows: BTreeMap<&'static str, usize>,
    /// One line per case that is wrong, with its reason.
    wrong: Vec<String>,
    /// One line per case that is refused and not excluded.
    pub(crate) refused: Vec<String>,
    /// What makes the run fail.
    pub(crate) problems: Vec<String>,
}

impl Score {
    pub(crate) fn new(cases: &[Case], verdicts: &[Verdict], known: &Known) -> Self {
        let mut score = Self::default();
        let mut listed = known.by_case();
        for (case, verdict) in cases.iter().zip(verdicts) {
            let mut one = Count::default();
            let expr = one_line(&case.expr);
            match verdict {
                Verdict::Right => one.right = 1,
                Verdict::Refused(why) => {
                    one.refused = 1;
                    let row =
                        excluded::row_of(&case.expr).or_else(|| excluded::row_of(&case.expect));
                    if let Some(row) = row {
                        one.excluded = 1;
                        *score.rows.entry(row.name).or_default() += 1;
                    } else {
                        score
                            .refused
                            .push(format!("refused  {expr}\n         {why}"));
                    }
                }
                Verdict::Wrong(what) => {
                    one.wrong = 1;
                    let reason = listed.remove(&case.name());
                    let line = format!("{expr}\n         {what}");
                    if reason.is_none() {
                        let problem = format!("wrong, and not listed: {line}");
                        score.problems.push(problem);
                    }
                    let reason = reason.unwrap_or("no reason is listed");
                    score
                        .wrong
                        .push(format!("wrong    {line}\n         {reason}"));
                }
                Verdict::Panicked(what) => {
                    one.wrong = 1;
                    score.problems.push(format!("panics: {expr}: {what}"));
                }
            }
            score.sum.add(one);
            score.folders.entry(case.folder()).or_default().add(one);
        }
        for (file, expr, _) in listed.keys() {
            let problem = format!("listed as wrong, but is not: {file}: {}", one_line(expr));
            score.problems.push(problem);
        }
        score
    }

    /// Adds a problem for each floor that was not reached.
    pub(crate) fn hold(&mut self, floors: Floors) {
        let floors = [
            ("what is not excluded", self.of_others(), floors.of_others),
            ("all cases", self.of_all(), floors.of_all),
        ];
        for (what, reached, floor) in floors {
            if reached < floor {
                let problem =
                    format!("{reached:.2} % of {what} are right; it was {floor} % before");
                self.problems.push(problem);
            }
        }
    }

    fn of_others(&self) -> f64 {
        percent(self.sum.right, self.sum.all() - self.sum.excluded)
    }

    fn of_all(&self) -> f64 {
        percent(self.sum.right, self.sum.all())
    }

    /// What the command prints.
    pub(crate) fn table(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        for (folder, count) in &self.folders {
            let _ = writeln!(text, "{folder}: {}", line(*count));
        }
        for (row, count) in &self.rows {
            let _ = writeln!(text, "excluded {count:>4}  {row}");
        }
        for wrong in &self.wrong {
            let _ = writeln!(text, "{wrong}");
        }
        let _ = write!(
            text,
            "all: {} of {}\n     {} of the refused are excluded; right are {:.2} % of the others, {:.2} % of all",
            line(self.sum),
            self.sum.all(),
            self.sum.excluded,
            self.of_others(),
            self.of_all(),
        );
        text
    }
}

impl Count {
    fn add(&mut self, other: Self) {
        self.right += other.right;
        self.wrong += other.wrong;
        self.refused += other.refused;
        self.excluded += other.excluded;
    }
}

fn line(count: Count) -> String {
    let Count {
        right,
        wrong,
        refused,
        ..
    } = count;
    format!("{right} right, {wrong} wrong, {refused} refused")
}

fn percent(part: usize, of: usize) -> f64 {
    if of == 0 {
        return 100.0;
    }
    part as f64 * 100.0 / of as f64
}

fn one_line(expr: &str) -> String {
    expr.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(expr: &str) -> Case {
        Case {
            file: "language/expressions/addition/a.js".into(),
            expr: expr.into(),
            expect: "1".into(),
        }
    }

    #[test]
    fn only_refused_cases_with_an_excluded_construct_are_left_out() {
        let cases = ["1", "a = 1", "f(1)", "b = 2"].map(case);
        let refused = || Verdict::Refused("UNSUPPORTED".into());
        let verdicts = [Verdict::Right, refused(), refused(), Verdict::Right];
        let score = Score::new(&cases, &verdicts, &Known::default());
        let expected = Count {
            right: 2,
            wrong: 0,
            refused: 2,
            excluded: 1,
        };
        assert_eq!(score.sum, expected);
        assert_eq!(score.refused.len(), 1);
        assert!(
            score
                .table()
                .contains("66.67 % of the others, 50.00 % of all")
        );
    }

    #[test]
    fn falling_below_a_floor_is_a_problem() {
        let cases = [case("1"), case("2")];
        let verdicts = [Verdict::Right, Verdict::Refused("UNSUPPORTED".into())];
        let problems = |of_others, of_all| {
            let mut score = Score::new(&cases, &verdicts, &Known::default());
            score.hold(Floors { of_others, of_all });
            score.problems.len()
        };
        assert_eq!(problems(50.0, 50.0), 0);
        assert_eq!(problems(50.1, 50.0), 1);
        assert_eq!(problems(50.1, 50.1), 2);
    }

    #[test]
    fn a_wrong_case_must_be_listed_and_a_listed_one_must_be_wrong() {
        let cases = [case("1"), case("2")];
        let listed = "[[group]]\nreason = 'r'\n[[group.cases]]\nfile = 'language/expressions/addition/a.js'\nexpr = '1'\nexpect = '1'";
        let known: Known = toml::from_str(listed).unwrap();
        let wrong = || Verdict::Wrong("2, not 1".into());
        let problems = |verdicts: &[Verdict]| Score::new(&cases, verdicts, &known).problems.len();
        assert_eq!(problems(&[wrong(), Verdict::Right]), 0);
        assert_eq!(problems(&[wrong(), wrong()]), 1);
        assert_eq!(problems(&[Verdict::Right, Verdict::Right]), 1);
        assert_eq!(problems(&[wrong(), Verdict::Panicked(String::new())]), 1);
    }
}
