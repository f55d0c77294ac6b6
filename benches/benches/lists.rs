//! Long lists and large values: time, peak memory and bytes on disk, each in a process of its own.
//!
//! `cargo bench -p nebula-benches --bench lists`; without `--bench` a short run.

#![expect(
    clippy::disallowed_methods,
    reason = "a bench runs itself once per case, and reads the environment for which"
)]

use std::{
    error::Error,
    io::{self, Write},
    process::Command,
};

use nebula_benches::{Table, lists, process};
use serde_json::{Value, json};

/// Says to a process of this bench which case it is.
const CASE: &str = "NEBULA_BENCH_LIST";

/// One workflow, with `COUNT` for the number of elements.
struct Case {
    name: &'static str,
    yaml: &'static str,
}

const CASES: &[Case] = &[Case {
    name: "flow.for_each over a range, a body of one node",
    yaml: "
nodes:
  - id: numbers
    action: flow.for_each
    parameters: { range: { to: COUNT } }
    body: { nodes: [{ id: twice, action: data.set, parameters: { n: '{{ $item * 2 }}' } }] }
output: '{{ $nodes.numbers.success }}'
",
}];

fn main() -> Result<(), Box<dyn Error>> {
    let whole = std::env::args().any(|argument| argument == "--bench");
    let count: u32 = if whole { 1_000_000 } else { 10_000 };
    if let Ok(case) = std::env::var(CASE) {
        return one(&CASES[case.parse::<usize>()?], count);
    }
    let mut table = Table::new(["what", "items", "s", "items/s", "peak RSS MB", "MB on disk"]);
    for (index, case) in CASES.iter().enumerate() {
        let output = Command::new(std::env::current_exe()?)
            .args(whole.then_some("--bench"))
            .env(CASE, index.to_string())
            .output()?;
        let figures: Value = serde_json::from_slice(&output.stdout)
            .map_err(|_| String::from_utf8_lossy(&output.stderr).into_owned())?;
        let number = |key: &str| figures[key].as_f64().unwrap_or(0.0);
        let cells = [
            case.name.to_owned(),
            count.to_string(),
            format!("{:.1}", number("seconds")),
            format!("{:.0}", f64::from(count) / number("seconds")),
            format!("{:.0}", number("peak") / 1e6),
            format!("{:.0}", number("disk") / 1e6),
        ];
        table.row(cells.iter().map(String::as_str));
    }
    writeln!(io::stdout().lock(), "{table}")?;
    Ok(())
}

fn one(case: &Case, count: u32) -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()?;
    let folder = tempfile::tempdir()?;
    let yaml = case.yaml.replace("COUNT", &count.to_string());
    let run = lists::run(folder.path(), &yaml, Value::Null);
    let (took, _) = runtime.block_on(run).map_err(|error| error.to_string())?;
    let mut disk = 0;
    for file in std::fs::read_dir(folder.path())? {
        disk += file?.metadata()?.len();
    }
    let figures = json!({ "seconds": took.as_secs_f64(), "peak": process::peak(), "disk": disk });
    writeln!(io::stdout().lock(), "{figures}")?;
    Ok(())
}
