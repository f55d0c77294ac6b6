//! The metrics, the page about them and the dashboard say the same.

use std::{collections::BTreeSet, fs};

use nebula_core::NodeId;
use nebula_execution::InstanceId;
use serde_json::Value as Json;

use super::*;

fn file(name: &str) -> String {
    let path = format!("{}/../../docs/{name}", env!("CARGO_MANIFEST_DIR"));
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The words of a text that look like names of our metrics.
fn names(text: &str) -> BTreeSet<&str> {
    let words = text.split(|it: char| !it.is_ascii_alphanumeric() && it != '_');
    let ours = |word: &&str| {
        let (nebula, process) = (word.strip_prefix("nebula_"), word.strip_prefix("process_"));
        nebula.or(process).is_some_and(|rest| !rest.is_empty())
    };
    words.filter(ours).collect()
}

/// The metric that a series belongs to.
fn metric_of(series: &str) -> Option<&'static catalog::Metric> {
    let named = |name: &str| catalog::ALL.iter().copied().find(|it| it.name == name);
    named(series).or_else(|| {
        let suffixes = ["_bucket", "_sum", "_count"];
        let base = suffixes.iter().find_map(|it| series.strip_suffix(it))?;
        named(base).filter(|it| it.kind == catalog::Kind::Histogram)
    })
}

#[test]
fn the_page_has_every_metric_as_it_is() {
    let page = file("metrics.md");
    for metric in catalog::ALL {
        let labels: Vec<_> = metric.labels.iter().map(|it| format!("`{it}`")).collect();
        let labels = match labels.is_empty() {
            true => "–".to_owned(),
            false => labels.join(", "),
        };
        let (name, kind, help) = (metric.name, metric.kind.as_str(), metric.help);
        let row = format!("| `{name}` | {kind} | {labels} | {help} |");
        assert!(page.contains(&row), "docs/metrics.md lacks the row\n{row}");
    }
}

#[test]
fn the_page_has_no_metric_that_is_not_there() {
    let page = file("metrics.md");
    for name in names(&page) {
        assert!(metric_of(name).is_some(), "there is no metric `{name}`");
    }
}

#[test]
fn the_dashboard_asks_for_metrics_and_labels_that_are_there() {
    let dashboard: Json = serde_json::from_str(&file("grafana/nebula.json")).unwrap();
    let mut asked = BTreeSet::new();
    let panels = dashboard["panels"].as_array().unwrap();
    for target in panels
        .iter()
        .flat_map(|it| it["targets"].as_array().unwrap())
    {
        let expr = target["expr"].as_str().unwrap();
        let found: Vec<_> = names(expr)
            .into_iter()
            .map(|name| metric_of(name).unwrap_or_else(|| panic!("no metric `{name}`: {expr}")))
            .collect();
        assert!(!found.is_empty(), "{expr}");
        let by = expr
            .split(" by (")
            .skip(1)
            .map(|it| it.split(')').next().unwrap());
        let shown = target["legendFormat"].as_str().unwrap();
        let shown = shown
            .split("{{")
            .skip(1)
            .map(|it| it.split("}}").next().unwrap());
        for label in by.flat_map(|it| it.split(", ")).chain(shown) {
            let known = |it: &&catalog::Metric| it.labels.contains(&label);
            assert!(
                label == "le" || found.iter().all(known),
                "no label `{label}`: {expr}"
            );
        }
        asked.extend(found.iter().map(|it| it.name));
    }
    // What nobody draws needs a reason.
    let undrawn = [
        "nebula_build_info",
        "nebula_journal_entries_total",
        "nebula_outgoing_requests_total",
        "process_max_fds",
        "process_start_time_seconds",
    ];
    for metric in catalog::ALL {
        let drawn = asked.contains(metric.name);
        assert_ne!(drawn, undrawn.contains(&metric.name), "{}", metric.name);
    }
}

#[test]
fn names_are_those_of_the_format() {
    let mut seen = BTreeSet::new();
    for metric in catalog::ALL {
        assert!(seen.insert(metric.name), "{} is there twice", metric.name);
        let total = metric.name.ends_with("_total");
        assert_eq!(
            total,
            metric.kind == catalog::Kind::Counter,
            "{}",
            metric.name
        );
        assert!(metric.help.ends_with('.'), "{}", metric.name);
    }
}

fn workflow(name: &str) -> WorkflowId {
    WorkflowId::new(name).unwrap()
}

fn entry(at: i64, fact: Fact) -> Entry {
    let at = Timestamp::from_millis(at);
    Entry { at, fact }
}

fn failed(retry_at: Option<Timestamp>) -> Fact {
    Fact::AttemptFailed {
        instance: InstanceId::new(NodeId::new("a").unwrap(), 1),
        attempt: 1,
        error: ActionError::new("X", "x", ErrorClass::Timeout),
        retry_at,
        counts: true,
        taken: nebula_execution::Taken::All,
    }
}

fn read(metrics: &Metrics) -> String {
    let mut reading = Reading::default();
    metrics.read(&mut reading);
    reading.text()
}

/// The value of the series that is written like this.
fn value<'t>(text: &'t str, series: &str) -> &'t str {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no `{series}` in\n{text}"))
}

#[test]
fn what_is_committed_is_counted() {
    let (metrics, began) = (Metrics::default(), Timestamp::from_millis(1_000));
    metrics.started(&workflow("orders"));
    let entries = [
        entry(1_500, failed(Some(Timestamp::from_millis(2_000)))),
        entry(2_500, failed(None)),
        entry(3_000, Fact::ExecutionTimedOut),
    ];
    let took = Duration::from_micros(300);
    metrics.committed((&workflow("orders"), began), &entries, took);
    let text = read(&metrics);
    let check =
        |series: &str, expected: &str| assert_eq!(value(&text, series), expected, "{series}");
    check("nebula_executions_started_total{workflow=\"orders\"}", "1");
    check(
        "nebula_executions_ended_total{workflow=\"orders\",status=\"timed_out\"}",
        "1",
    );
    check(
        "nebula_executions_ended_total{workflow=\"orders\",status=\"completed\"}",
        "0",
    );
    check("nebula_execution_duration_seconds_sum", "2.0");
    check("nebula_attempts_total{outcome=\"failed\"}", "2");
    check("nebula_failures_total{class=\"timeout\"}", "2");
    check("nebula_retries_total", "1");
    check("nebula_journal_entries_total", "3");
    check("nebula_step_duration_seconds_bucket{le=\"0.00025\"}", "0");
    check("nebula_step_duration_seconds_bucket{le=\"0.0005\"}", "1");
    check("nebula_step_duration_seconds_bucket{le=\"+Inf\"}", "1");
    check("nebula_step_duration_seconds_count", "1");
}

#[test]
fn workflows_beyond_the_limit_are_counted_together() {
    let metrics = Metrics::default();
    for n in 0..MAX_WORKFLOWS + 5 {
        metrics.started(&workflow(&format!("w{n}")));
    }
    let text = read(&metrics);
    let of = |name: &str| format!("nebula_executions_started_total{{workflow=\"{name}\"}}");
    assert_eq!(value(&text, &of("other")), "5");
    assert_eq!(value(&text, &of("w0")), "1");
    let series = text
        .lines()
        .filter(|it| it.starts_with("nebula_executions_started_total{"));
    assert_eq!(series.count(), MAX_WORKFLOWS + 1);
}

#[test]
fn the_text_is_of_the_format() {
    let metrics = Metrics::default();
    metrics.webhook("replayed");
    metrics.answered(
        "GET",
        "/api/v1/executions/{id}",
        200,
        Duration::from_millis(2),
    );
    let text = read(&metrics);
    assert!(text.ends_with("# EOF\n"));
    assert!(
        text.contains("# TYPE nebula_webhook_deliveries counter\n"),
        "{text}"
    );
    assert!(text.contains("# HELP nebula_retries Attempts that failed and are made again.\n"));
    let series = "nebula_http_requests_total{method=\"GET\",route=\"/api/v1/executions/{id}\",status=\"200\"}";
    assert_eq!(value(&text, series), "1");
    assert_eq!(
        value(
            &text,
            "nebula_webhook_deliveries_total{outcome=\"replayed\"}"
        ),
        "1"
    );
    // Every series of the text belongs to a metric that the page explains.
    for line in text.lines().filter(|it| !it.starts_with('#')) {
        let series = line.split(['{', ' ']).next().unwrap();
        assert!(metric_of(series).is_some(), "{line}");
    }
}
