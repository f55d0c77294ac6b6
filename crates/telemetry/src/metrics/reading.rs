//! What all metrics say at one moment.

use std::{collections::BTreeMap, fmt};

use async_trait::async_trait;
use nebula_core::HistogramReading;
use nebula_execution::Status;
use nebula_ports::Backlog;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet, text},
    metrics::MetricType,
    registry::Registry,
};

use super::catalog::{self, Kind, Metric};

/// Microseconds of a second.
const MICROS: f64 = 1e6;

/// Of how many groups of workers the backlog is told.
const MAX_GROUPS: usize = 64;

/// What one metric says for one set of label values.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// One for each label of the metric, in their order.
    pub labels: Vec<String>,
    /// What it says.
    pub value: Value,
}

/// A value of a metric.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A whole number that only rises.
    Count(u64),
    /// A number: of a gauge, or of a counter that is none of things.
    Level(f64),
    /// How many values were how large; times in microseconds, which are shown in seconds.
    Spread(HistogramReading),
}

/// What all metrics say at one moment; from [`Nebula::read_metrics`] of the engine.
///
/// [`Nebula::read_metrics`]: https://docs.rs/nebula
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Reading {
    samples: BTreeMap<&'static str, Vec<Sample>>,
}

/// Something that is read when somebody asks for the metrics, and not counted on the way.
#[async_trait]
pub trait Source: fmt::Debug + Send + Sync + 'static {
    /// Adds what it knows. What cannot be read is left out.
    async fn read(&self, reading: &mut Reading);
}

impl Reading {
    /// Adds what a metric says for these values of its labels.
    pub fn add(&mut self, metric: &'static Metric, labels: &[&str], value: Value) {
        debug_assert_eq!(metric.labels.len(), labels.len(), "{}", metric.name);
        self.samples.entry(metric.name).or_default().push(Sample {
            labels: labels.iter().map(|&label| label.to_owned()).collect(),
            value,
        });
    }

    /// The same of a counter without labels.
    pub fn count(&mut self, metric: &'static Metric, value: u64) {
        self.add(metric, &[], Value::Count(value));
    }

    /// The same of a gauge without labels.
    #[expect(clippy::cast_precision_loss, reason = "nobody reads so many digits")]
    pub fn level(&mut self, metric: &'static Metric, value: u64) {
        self.add(metric, &[], Value::Level(value as f64));
    }

    /// The same of a histogram without labels.
    pub fn spread(&mut self, metric: &'static Metric, value: HistogramReading) {
        self.add(metric, &[], Value::Spread(value));
    }

    /// Adds what the store says of all that has not ended.
    #[expect(clippy::cast_precision_loss, reason = "a backlog counts only so far")]
    pub fn backlog(&mut self, backlog: &Backlog) {
        for status in Status::all().filter(|status| !status.is_terminal()) {
            let open = backlog.open.get(&status).copied().unwrap_or_default();
            let level = Value::Level(open as f64);
            self.add(catalog::EXECUTIONS_OPEN, &[status.as_str()], level);
        }
        self.level(catalog::QUEUE_DEPTH, backlog.due);
        for (group, due) in backlog.of_group.iter().take(MAX_GROUPS) {
            let level = Value::Level(*due as f64);
            self.add(catalog::QUEUE_DEPTH_OF_GROUP, &[group.as_str()], level);
        }
        let longest = backlog.longest.unwrap_or_default().as_secs_f64();
        self.add(catalog::QUEUE_OLDEST, &[], Value::Level(longest));
    }

    /// What a metric says, if anything.
    #[must_use]
    pub fn of(&self, metric: &Metric) -> &[Sample] {
        self.samples.get(metric.name).map_or(&[], Vec::as_slice)
    }

    /// As text, in the OpenMetrics format 1.0 ([`CONTENT_TYPE`]), which Prometheus reads.
    #[must_use]
    pub fn text(self) -> String {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(self));
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = text::encode(&mut text, &registry);
        text
    }
}

/// The media type of [`Reading::text`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

impl Collector for Reading {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        for metric in catalog::ALL {
            let samples = self.of(metric);
            if !samples.is_empty() {
                write(&mut encoder, metric, samples)?;
            }
        }
        Ok(())
    }
}

fn write(encoder: &mut DescriptorEncoder, metric: &Metric, samples: &[Sample]) -> fmt::Result {
    let kind = match metric.kind {
        Kind::Counter => MetricType::Counter,
        Kind::Gauge => MetricType::Gauge,
        Kind::Histogram => MetricType::Histogram,
    };
    // The format adds `_total` to the samples of a counter by itself.
    let name = metric.name.strip_suffix("_total").unwrap_or(metric.name);
    let mut encoder = encoder.encode_descriptor(name, metric.help, None, kind)?;
    for sample in samples {
        let labels: Vec<(&str, &str)> = metric
            .labels
            .iter()
            .zip(&sample.labels)
            .map(|(&name, value)| (name, value.as_str()))
            .collect();
        if labels.is_empty() {
            sample_to(&mut encoder, metric, &sample.value)?;
        } else {
            sample_to(&mut encoder.encode_family(&labels)?, metric, &sample.value)?;
        }
    }
    Ok(())
}

fn sample_to(encoder: &mut MetricEncoder<'_>, metric: &Metric, value: &Value) -> fmt::Result {
    match (value, metric.kind) {
        (Value::Count(count), Kind::Counter) => {
            encoder.encode_counter::<NoLabelSet, u64, u64>(count, None)
        }
        (Value::Level(level), Kind::Counter) => {
            encoder.encode_counter::<NoLabelSet, f64, f64>(level, None)
        }
        #[expect(clippy::cast_precision_loss, reason = "nobody reads so many digits")]
        (Value::Count(count), _) => encoder.encode_gauge(&(*count as f64)),
        (Value::Level(level), _) => encoder.encode_gauge(level),
        (Value::Spread(spread), _) => {
            let (sum, buckets) = scaled(metric, spread);
            encoder.encode_histogram::<NoLabelSet>(sum, spread.total(), &buckets, None)
        }
    }
}

/// The sum, and each upper bound with how many values its bucket has: times in seconds.
#[expect(clippy::cast_precision_loss, reason = "nobody reads so many digits")]
pub(crate) fn scaled(metric: &Metric, spread: &HistogramReading) -> (f64, Vec<(f64, u64)>) {
    let unit = match metric.name.ends_with("_seconds") {
        true => MICROS,
        false => 1.0,
    };
    let bounds = spread.bounds.iter().map(|bound| *bound as f64 / unit);
    let buckets = bounds
        .chain([f64::INFINITY])
        .zip(spread.counts.iter().copied());
    (spread.sum as f64 / unit, buckets.collect())
}
