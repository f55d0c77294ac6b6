//! The elements of a list, so many at a time.

use serde_json::{Value, json};

use super::{Ambiguous, Failure, Naive, Result, SAME, Time, body::Outcome};

/// What became of a list of elements.
pub(super) struct Many {
    pub(super) at: Time,
    /// When nothing of it runs any more.
    pub(super) over: Time,
    pub(super) list: std::result::Result<Value, Failure>,
}

/// What a list needs that does not need all of its elements.
pub(super) struct Enough<'e> {
    /// What the condition says of the progress of the list.
    pub(super) asks: &'e dyn Fn(&Value) -> std::result::Result<Option<Value>, Failure>,
    /// Whether the rest runs on.
    pub(super) absorbs: bool,
}

/// How the elements of a list are gone through.
pub(super) struct Through<'e> {
    pub(super) count: usize,
    pub(super) window: usize,
    /// Whether a failure ends only its element.
    pub(super) goes_on: bool,
    pub(super) enough: Option<Enough<'e>>,
    /// Before the number of an element, in the paths of what runs for it.
    pub(super) path: String,
}

/// An element that has ended.
struct End {
    index: usize,
    at: Time,
    result: std::result::Result<Value, Failure>,
}

impl Naive<'_> {
    /// Runs `one` for each element; what ends the list takes back what runs beyond it.
    pub(super) fn many(
        &mut self,
        through: &Through<'_>,
        at: Time,
        mut one: impl FnMut(&mut Self, usize, Time) -> Result<Outcome>,
    ) -> Result<Many> {
        let (mut free, mut ends) = (vec![at; through.window], Vec::new());
        for index in 0..through.count {
            let place = (0..through.window).min_by_key(|place| free[*place]);
            let place = place.unwrap_or(0);
            let stops = |end: &End| end.result.is_err() && end.at + SAME <= free[place];
            if !through.goes_on && through.enough.is_none() && ends.iter().any(stops) {
                break;
            }
            let (at, result) = one(self, index, free[place])?;
            free[place] = at;
            ends.push(End { index, at, result });
        }
        ends.sort_by_key(|end| (end.at, end.index));
        let enough = through.ends_early(&ends)?;
        let failed = through.fails(&ends)?;
        let over = ends.iter().map(|end| end.at).max().unwrap_or(at);
        if let (Some(enough), Some(failed)) = (&enough, &failed)
            && through.window > 1
            && enough.0.abs_diff(failed.0) < SAME
        {
            return Err(Ambiguous);
        }
        let failed = failed.filter(|failed| enough.as_ref().is_none_or(|it| failed.1 <= it.1));
        if let Some((at, _, failure)) = failed {
            self.cut(&through.path, at, &[]);
            let list = Err(failure);
            return Ok(Many { at, over: at, list });
        }
        let (at, known) = match &enough {
            Some((at, place, None)) => (*at, place + 1),
            Some((at, _, Some(failure))) => {
                self.cut(&through.path, *at, &[]);
                let (at, list) = (*at, Err(failure.clone()));
                return Ok(Many { at, over: at, list });
            }
            None => (over, ends.len()),
        };
        let absorbs = through.enough.as_ref().is_some_and(|it| it.absorbs);
        let mut list = vec![Value::Null; through.count];
        for (place, end) in ends.iter().enumerate() {
            if place < known {
                list[end.index] = match &end.result {
                    Ok(value) => value.clone(),
                    Err(failure) => json!({ "error": failure.value() }),
                };
            } else if !absorbs {
                self.cut(&format!("{}{}]/", through.path, end.index), at, &[]);
            }
        }
        Ok(Many {
            at,
            over: if absorbs { over } else { at },
            list: Ok(Value::Array(list)),
        })
    }
}

impl Through<'_> {
    /// When the list is complete before its end, with the place of the element that made it so; or
    /// why that cannot be known.
    fn ends_early(&self, ends: &[End]) -> Result<Option<(Time, usize, Option<Failure>)>> {
        let Some(enough) = &self.enough else {
            return Ok(None);
        };
        let mut succeeded = 0_u32;
        for (place, end) in ends.iter().enumerate() {
            succeeded += u32::from(end.result.is_ok());
            let last = match &end.result {
                Ok(value) => json!({ "index": end.index, "result": value }),
                Err(failure) => json!({ "index": end.index, "error": failure.value() }),
            };
            let done = u32::try_from(place + 1).expect("a test has few");
            let progress = json!({
                "total": self.count,
                "done": done,
                "succeeded": succeeded,
                "failed": done - succeeded,
                "last": last,
            });
            let holds = match (enough.asks)(&progress) {
                Ok(Some(Value::Bool(holds))) => Ok(holds),
                Ok(Some(Value::Number(wanted))) => Ok(wanted
                    .as_f64()
                    .is_some_and(|wanted| f64::from(succeeded) >= wanted)),
                Ok(_) => panic!("the condition gives neither a number nor true or false"),
                Err(failure) => Err(failure),
            };
            if holds == Ok(false) {
                continue;
            }
            let beside = ends.iter().filter(|it| it.index != end.index);
            if self.window > 1 && beside.into_iter().any(|it| it.at.abs_diff(end.at) < SAME) {
                return Err(Ambiguous);
            }
            return Ok(Some((end.at, place, holds.err())));
        }
        Ok(None)
    }

    /// The first failure that ends the list, with its place.
    fn fails(&self, ends: &[End]) -> Result<Option<(Time, usize, Failure)>> {
        if self.goes_on {
            return Ok(None);
        }
        let mut failures = ends.iter().enumerate().filter_map(|(place, end)| {
            let failure = end.result.as_ref().err()?;
            Some((end.at, place, failure.clone()))
        });
        let Some(first) = failures.next() else {
            return Ok(None);
        };
        let other = |(at, _, failure): (Time, usize, Failure)| {
            at.abs_diff(first.0) < SAME && failure.code != first.2.code
        };
        match self.window > 1 && failures.any(other) {
            true => Err(Ambiguous),
            false => Ok(Some(first)),
        }
    }
}
