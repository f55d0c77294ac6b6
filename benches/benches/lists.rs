//! Long lists and large values: time, peak memory, all memory that was asked for, and bytes on disk,
//! each in a process of its own.
//!
//! `cargo bench -p nebula-benches --bench lists`; without `--bench` a short run. `NEBULA_BENCH_ITEMS`
//! says for how many items.

#![expect(
    clippy::disallowed_methods,
    reason = "a bench runs itself once per case, and reads the environment for which"
)]

use std::{
    error::Error,
    io::{self, Write},
    process::Command,
};

use nebula_benches::{
    Table,
    allocated::{self, Counting},
    asked::Asked,
    engine::threads,
    lists, process,
    summary::Summary,
};
use serde_json::{Value, json};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Says to a process of this bench which case it is.
const CASE: &str = "NEBULA_BENCH_LIST";

/// How many items the lists have, if not as many as the kind of run says.
const ITEMS: &str = "NEBULA_BENCH_ITEMS";

/// How many bytes the large value has: one text. A short run has a hundredth.
const LARGE: usize = 20_000_000;

/// One workflow, with `COUNT` for the number of elements.
struct Case {
    name: &'static str,
    /// The name of its figures.
    way: &'static str,
    yaml: &'static str,
    /// What comes behind it, so often with so many names: `NAME`.
    more: Option<(u32, &'static str)>,
    /// Whether its input is the large value, in `text`.
    large: bool,
}

const CASES: &[Case] = &[
    Case {
        name: "flow.for_each over a range, a body of one node",
        way: "range",
        yaml: "
nodes:
  - id: numbers
    action: flow.for_each
    parameters: { range: { to: COUNT } }
    body: { nodes: [{ id: twice, action: data.set, parameters: { n: '{{ $item * 2 }}' } }] }
output: '{{ $nodes.numbers.success }}'
",
        more: None,
        large: false,
    },
    Case {
        name: "flow.for_each over the results of another",
        way: "results",
        yaml: "
nodes:
  - id: numbers
    action: flow.for_each
    parameters: { range: { to: COUNT } }
    body: { nodes: [{ id: twice, action: data.set, parameters: { n: '{{ $item * 2 }}' } }] }
  - id: again
    action: flow.for_each
    body: { nodes: [{ id: half, action: data.set, parameters: { n: '{{ $item.n / 2 }}' } }] }
output: '{{ $nodes.again.success }}'
",
        more: None,
        large: false,
    },
    Case {
        name: "a value of 20 MB as input, and nothing else",
        way: "large_alone",
        yaml: "
nodes:
  - { id: first, action: data.set, parameters: { n: 1 } }
output: '{{ $nodes.first.success }}'
",
        more: None,
        large: true,
    },
    Case {
        name: "the same, read by ten nodes",
        way: "large_read",
        yaml: "
nodes:
  - { id: first, action: data.set, parameters: { n: '{{ $input.kind }}' } }
",
        more: Some((
            9,
            "  - { id: NAME, action: data.set, parameters: { n: '{{ $input.kind }}' } }\n",
        )),
        large: true,
    },
    Case {
        name: "the same, passed on by ten nodes",
        way: "large_passed_on",
        yaml: "
nodes:
  - { id: first, action: data.set, disabled: true }
",
        more: Some((9, "  - { id: NAME, action: data.set, disabled: true }\n")),
        large: true,
    },
    Case {
        name: "the same, given again by ten nodes",
        way: "large_given_again",
        yaml: "
nodes:
  - { id: first, action: data.set, parameters: { text: '{{ $json.text }}' } }
",
        more: Some((
            9,
            "  - { id: NAME, action: data.set, parameters: { text: '{{ $json.text }}' } }\n",
        )),
        large: true,
    },
];

impl Case {
    fn yaml(&self, count: u32) -> String {
        let mut yaml = self.yaml.replace("COUNT", &count.to_string());
        let (times, more) = self.more.unwrap_or_default();
        for number in 0..times {
            yaml += &more.replace("NAME", &format!("node_{number}"));
        }
        if times > 0 {
            yaml += "output: '{{ $nodes.first.success }}'\n";
        }
        yaml
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let asked = Asked::read();
    let whole = asked.whole;
    let mut summary = Summary::default();
    let count: u32 = match std::env::var(ITEMS) {
        Ok(count) => count.parse()?,
        Err(_) if whole => 1_000_000,
        Err(_) => 10_000,
    };
    if let Ok(case) = std::env::var(CASE) {
        return one(&CASES[case.parse::<usize>()?], count, whole);
    }
    let mut table = Table::new([
        "what",
        "items",
        "s",
        "peak RSS MB",
        "MB asked for",
        "MB on disk",
    ]);
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
            if case.large {
                String::new()
            } else {
                count.to_string()
            },
            format!("{:.2}", number("seconds")),
            format!("{:.0}", number("peak") / 1e6),
            format!("{:.0}", number("allocated") / 1e6),
            format!("{:.0}", number("disk") / 1e6),
        ];
        table.row(cells.iter().map(String::as_str));
        summary.set(
            "W6",
            case.way,
            [
                ("seconds", number("seconds")),
                ("peak_rss_mb", number("peak") / 1e6),
                ("disk_mb", number("disk") / 1e6),
            ],
        );
    }
    writeln!(io::stdout().lock(), "{table}")?;
    asked.report(&summary)
}

fn one(case: &Case, count: u32, whole: bool) -> Result<(), Box<dyn Error>> {
    let runtime = threads()?;
    let folder = tempfile::tempdir()?;
    let large = if whole { LARGE } else { LARGE / 100 };
    let input = match case.large {
        true => json!({ "kind": "large", "text": "x".repeat(large) }),
        false => Value::Null,
    };
    let before = allocated::bytes();
    let yaml = case.yaml(count);
    let run = lists::run(folder.path(), &yaml, input);
    let took = runtime.block_on(run).map_err(|error| error.to_string())?;
    let allocated = allocated::bytes() - before;
    let mut disk = 0;
    for file in std::fs::read_dir(folder.path())? {
        disk += file?.metadata()?.len();
    }
    let figures = json!({
        "seconds": took.as_secs_f64(),
        "peak": process::peak(),
        "allocated": allocated,
        "disk": disk,
    });
    writeln!(io::stdout().lock(), "{figures}")?;
    Ok(())
}
