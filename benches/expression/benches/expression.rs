//! Nanoseconds per evaluation and per compilation, beside the floor of the same run.
//!
//! `cargo bench -p nebula-expression-bench`, with `--features engines` for other engines too; a
//! word after `--` leaves only the expressions that contain it, for a profiler. Without `--bench`
//! (as in `cargo test --benches`) a short run.

use std::{
    error::Error,
    hint::black_box,
    io::{self, Write},
};

use nebula_expression::{CompileOptions, Context, Program};
use nebula_expression_bench::{
    cases::{self, Case, Json},
    turns::{self, geometric_mean, median, ratio},
};
use serde_json::Value;

/// Turns of everything; the tables have medians.
const ROUNDS: usize = 400;

fn main() -> Result<(), Box<dyn Error>> {
    let whole = std::env::args().any(|argument| argument == "--bench");
    let rounds = if whole { ROUNDS } else { 2 };
    let only = std::env::args()
        .skip(1)
        .find(|word| !word.starts_with("--"));
    let chosen = |source: &String| only.as_ref().is_none_or(|word| source.contains(word));
    let document = cases::document();
    let mut cases = cases::all();
    cases.retain(|case| chosen(&case.source));
    check(&document, &cases)?;
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "{} expressions over one document; both sides read a `serde_json::Value` with preserved \
         order of keys and give one that they own; medians of {rounds} interleaved turns\n",
        cases.len()
    )?;
    evaluation(&mut out, rounds, &document, &cases)?;
    compilation(&mut out, rounds, &cases)?;
    #[cfg(feature = "engines")]
    engines::compare(&mut out, rounds / 4 + 1, &document, &cases)?;
    Ok(())
}

/// Nothing is compared that does not give the same.
fn check(document: &Value, cases: &[Case]) -> Result<(), Box<dyn Error>> {
    let (scope, context) = (Json(document), Context::default());
    for case in cases {
        let ours = cases::compile(&case.source).evaluate(&scope, &context)?;
        assert_eq!(ours, Some((case.floor)(document)), "{}", case.source);
    }
    Ok(())
}

fn evaluation(
    out: &mut dyn Write,
    rounds: usize,
    document: &Value,
    cases: &[Case],
) -> io::Result<()> {
    let (scope, context) = (Json(document), Context::default());
    writeln!(
        out,
        "{:>8} {:>8} {:>7} {:>8}  evaluation, ns",
        "floor", "ours", "ratio", "by ref"
    )?;
    let (mut ratios, mut paths) = (Vec::new(), Vec::new());
    for case in cases {
        let program = cases::compile(&case.source);
        let nanos = turns::measure(
            rounds,
            &mut [
                &mut || drop(black_box((case.floor)(black_box(document)))),
                &mut || drop(black_box(program.evaluate(black_box(&scope), &context))),
                &mut || drop(black_box(program.evaluate_ref(black_box(&scope), &context))),
            ],
        );
        let of_floor = ratio(&nanos[1], &nanos[0]);
        ratios.push(of_floor);
        let by_ref = if case.is_path() {
            paths.push(of_floor);
            format!("{:.1}", median(nanos[2].iter().copied()))
        } else {
            String::new()
        };
        writeln!(
            out,
            "{:>8.1} {:>8.1} {of_floor:>7.2} {by_ref:>8}  {}",
            median(nanos[0].iter().copied()),
            median(nanos[1].iter().copied()),
            case.short()
        )?;
    }
    writeln!(
        out,
        "geometric mean of the ratios {:.2}, of the paths alone {:.2}\n",
        geometric_mean(&ratios),
        geometric_mean(&paths)
    )
}

fn compilation(out: &mut dyn Write, rounds: usize, cases: &[Case]) -> io::Result<()> {
    writeln!(out, "{:>8}  compilation, ns", "ours")?;
    let options = CompileOptions::default();
    let mut all = Vec::new();
    for case in cases {
        let source = &case.source;
        let mut compile = || drop(black_box(Program::compile(black_box(source), &options)));
        let nanos = median(turns::measure(rounds, &mut [&mut compile]).remove(0));
        all.push(nanos);
        writeln!(out, "{nanos:>8.0}  {}", case.short())?;
    }
    writeln!(out, "median {:.0}\n", median(all))
}

#[cfg(feature = "engines")]
mod engines {
    //! The other engines, each from the same value to the same result.

    use nebula_expression_bench::engines::all;

    use super::*;

    /// Prints one table: each engine's bare evaluation and evaluation with conversions.
    pub(super) fn compare(
        out: &mut dyn Write,
        rounds: usize,
        document: &Value,
        cases: &[Case],
    ) -> Result<(), Box<dyn Error>> {
        let mut engines = all(document)?;
        for engine in &mut engines {
            for case in cases {
                let result = engine.whole(case.index, document)?;
                let name = engine.name();
                assert_eq!(result, (case.floor)(document), "{name}: {}", case.source);
            }
        }
        let (scope, context) = (Json(document), Context::default());
        write!(out, "{:>8}", "ours")?;
        for engine in &engines {
            write!(out, " {:>9}", engine.name())?;
        }
        for engine in &engines {
            write!(out, " {:>9}", format!("{}+", engine.name()))?;
        }
        writeln!(
            out,
            "  evaluation, ns: bare, then (+) with both conversions"
        )?;
        let mut slowest_lead = f64::INFINITY;
        let mut slowest_whole_lead = f64::INFINITY;
        for case in cases {
            let program = cases::compile(&case.source);
            let ours = |rounds| {
                let nanos = turns::measure(
                    rounds,
                    &mut [&mut || drop(black_box(program.evaluate(black_box(&scope), &context)))],
                );
                median(nanos.into_iter().flatten())
            };
            let own = ours(rounds);
            write!(out, "{own:>8.1}")?;
            let mut fastest = f64::INFINITY;
            for engine in &mut engines {
                let nanos = median(
                    turns::measure(rounds, &mut [&mut || engine.bare(case.index)]).remove(0),
                );
                fastest = fastest.min(nanos);
                write!(out, " {nanos:>9.0}")?;
            }
            slowest_lead = slowest_lead.min(fastest / own);
            let mut fastest = f64::INFINITY;
            for engine in &mut engines {
                let mut whole = || drop(black_box(engine.whole(case.index, black_box(document))));
                let nanos = median(turns::measure(rounds, &mut [&mut whole]).remove(0));
                fastest = fastest.min(nanos);
                write!(out, " {nanos:>9.0}")?;
            }
            slowest_whole_lead = slowest_whole_lead.min(fastest / own);
            writeln!(out, "  {}", case.short())?;
        }
        writeln!(
            out,
            "the fastest engine takes at least {slowest_lead:.2} times as long as ours bare, and \
             {slowest_whole_lead:.1} times with its conversions"
        )?;
        Ok(())
    }
}
