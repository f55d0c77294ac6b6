//! How many log lines were left out, as a metric.

use std::fmt;

use async_trait::async_trait;

use crate::{
    budget::Budgets,
    flood::Floods,
    lines::{Limits, Lines},
    metrics::{Reading, Source, Value, catalog},
};

/// Counts the log lines of this process that were left out, by what bounds them. Clones are one.
#[derive(Clone)]
pub struct LinesLeftOut {
    floods: Floods,
    budgets: Budgets,
    pub(crate) lines: Lines,
}

impl LinesLeftOut {
    pub(crate) fn of(limits: &Limits, lines: &Lines) -> Self {
        Self {
            floods: limits.floods.clone(),
            budgets: limits.budgets.clone(),
            lines: lines.clone(),
        }
    }
}

impl fmt::Debug for LinesLeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LinesLeftOut").finish_non_exhaustive()
    }
}

#[async_trait]
impl Source for LinesLeftOut {
    async fn read(&self, reading: &mut Reading) {
        let all = [
            ("place", self.floods.left_out()),
            ("execution", self.budgets.left_out()),
            ("reader", self.lines.left_out_in_all()),
        ];
        for (why, lines) in all {
            reading.add(catalog::LOG_LEFT_OUT, &[why], Value::Count(lines));
        }
    }
}
