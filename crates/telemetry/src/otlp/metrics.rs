//! What all metrics say, as data points.

use nebula_core::Timestamp;
use opentelemetry_proto::tonic::{
    common::v1::KeyValue,
    metrics::v1::{
        AggregationTemporality, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, Sum,
        metric::Data, number_data_point,
    },
};

use super::wire::{nanos, text};
use crate::{
    Reading, Sample, Value,
    metrics::catalog::{self, Kind},
};

/// Microseconds of a second.
const MICROS: f64 = 1e6;

/// The metrics of a reading, and how many data points they have. Counters count since `began`.
pub(super) fn of(reading: &Reading, began: Timestamp, now: Timestamp) -> (Vec<Metric>, u64) {
    let (began, now) = (nanos(began), nanos(now));
    let (mut metrics, mut number) = (Vec::new(), 0);
    for known in catalog::ALL {
        let samples = reading.of(known);
        if samples.is_empty() {
            continue;
        }
        number += samples.len() as u64;
        let times = match known.kind {
            // What rises and falls has no beginning.
            Kind::Gauge => (0, now),
            Kind::Counter | Kind::Histogram => (began, now),
        };
        let of = samples.iter().map(|it| (it, attributes(known.labels, it)));
        let data = match known.kind {
            Kind::Counter => Data::Sum(Sum {
                data_points: of.map(|(it, with)| point(it, with, times)).collect(),
                aggregation_temporality: AggregationTemporality::Cumulative.into(),
                is_monotonic: true,
            }),
            Kind::Gauge => Data::Gauge(Gauge {
                data_points: of.map(|(it, with)| point(it, with, times)).collect(),
            }),
            Kind::Histogram => Data::Histogram(Histogram {
                data_points: of
                    .filter_map(|(it, with)| spread(known.name, it, with, times))
                    .collect(),
                aggregation_temporality: AggregationTemporality::Cumulative.into(),
            }),
        };
        metrics.push(Metric {
            name: known.name.to_owned(),
            description: known.help.to_owned(),
            unit: unit(known.name).to_owned(),
            data: Some(data),
            ..Metric::default()
        });
    }
    (metrics, number)
}

/// The unit that a name ends with, as UCUM writes it.
fn unit(name: &str) -> &'static str {
    let name = name.strip_suffix("_total").unwrap_or(name);
    match name.rsplit_once('_') {
        Some((_, "seconds")) => "s",
        Some((_, "bytes")) => "By",
        _ => "1",
    }
}

fn attributes(labels: &[&str], sample: &Sample) -> Vec<KeyValue> {
    let pairs = labels.iter().zip(&sample.labels);
    pairs.map(|(label, value)| text(label, value)).collect()
}

fn point(sample: &Sample, attributes: Vec<KeyValue>, (began, now): (u64, u64)) -> NumberDataPoint {
    let value = match &sample.value {
        Value::Count(count) => {
            number_data_point::Value::AsInt(i64::try_from(*count).unwrap_or(i64::MAX))
        }
        Value::Level(level) => number_data_point::Value::AsDouble(*level),
        // No counter and no gauge has one.
        Value::Spread(_) => number_data_point::Value::AsInt(0),
    };
    NumberDataPoint {
        attributes,
        start_time_unix_nano: began,
        time_unix_nano: now,
        value: Some(value),
        ..NumberDataPoint::default()
    }
}

#[expect(clippy::cast_precision_loss, reason = "nobody reads so many digits")]
fn spread(
    name: &str,
    sample: &Sample,
    attributes: Vec<KeyValue>,
    (began, now): (u64, u64),
) -> Option<HistogramDataPoint> {
    let Value::Spread(reading) = &sample.value else {
        return None;
    };
    let of = if name.ends_with("_seconds") {
        MICROS
    } else {
        1.0
    };
    Some(HistogramDataPoint {
        attributes,
        start_time_unix_nano: began,
        time_unix_nano: now,
        count: reading.total(),
        sum: Some(reading.sum as f64 / of),
        bucket_counts: reading.counts.clone(),
        explicit_bounds: reading.bounds.iter().map(|&it| it as f64 / of).collect(),
        ..HistogramDataPoint::default()
    })
}
