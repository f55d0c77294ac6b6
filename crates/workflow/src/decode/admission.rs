//! Which executions may begin: beside each other, and how often.

use std::time::Duration;

use super::place::{Fields, Place};
use crate::{Admission, RateFull, RateLimit, WhenFull, codes, fields, problems::Problems};

pub(super) fn admission(place: &Place<'_>, problems: &mut Problems) -> Option<Admission> {
    let fields = place.fields(&fields::ADMISSION, problems)?;
    let words = [
        (fields::WHEN_FULL[0], WhenFull::Queue),
        (fields::WHEN_FULL[1], WhenFull::Refuse),
        (fields::WHEN_FULL[2], WhenFull::CancelOldest),
    ];
    let when_full = fields
        .get("when_full")
        .and_then(|place| place.choice(&words, problems))
        .unwrap_or_default();
    if when_full == WhenFull::Refuse {
        no_queue(&fields, problems);
    }
    let (key, queue) = (
        fields.expression("key", problems),
        fields.count("queue", problems),
    );
    Some(Admission {
        concurrency: fields.count("concurrency", problems)?,
        key,
        when_full,
        queue,
    })
}

pub(super) fn rate_limit(place: &Place<'_>, problems: &mut Problems) -> Option<RateLimit> {
    let fields = place.fields(&fields::RATE_LIMIT, problems)?;
    let words = [
        (fields::RATE_FULL[0], RateFull::Queue),
        (fields::RATE_FULL[1], RateFull::Refuse),
    ];
    let when_full = fields
        .get("when_full")
        .and_then(|place| place.choice(&words, problems))
        .unwrap_or_default();
    if when_full == RateFull::Refuse {
        no_queue(&fields, problems);
    }
    let (limit, per) = (fields.count("limit", problems), per(&fields, problems));
    let (burst, key, queue) = (
        fields.count("burst", problems),
        fields.expression("key", problems),
        fields.count("queue", problems),
    );
    Some(RateLimit {
        limit: limit?,
        per: per?,
        burst,
        key,
        when_full,
        queue,
    })
}

/// The two queues do not go together where the oldest make room: what waits for its time has none yet.
pub(super) fn check_both(
    admission: Option<&Admission>,
    rate: Option<(&RateLimit, Place<'_>)>,
    problems: &mut Problems,
) {
    let (Some(admission), Some((rate, place))) = (admission, rate) else {
        return;
    };
    if admission.when_full == WhenFull::CancelOldest && rate.when_full == RateFull::Queue {
        let message =
            "what waits for its time cancels nobody, as `admission.when_full` says it does";
        let problem = place.error(codes::VALUE, message);
        problems.push(problem.hint("write `when_full: refuse` here"));
    }
}

fn no_queue(fields: &Fields<'_>, problems: &mut Problems) {
    if let Some(place) = fields.get("queue") {
        let message = "nothing waits where starts are refused, so `queue` limits nothing";
        let problem = place.error(codes::VALUE, message);
        problems.push(problem.hint("remove it, or write `when_full: queue`"));
    }
}

fn per(fields: &Fields<'_>, problems: &mut Problems) -> Option<Duration> {
    let per = fields.duration("per", problems)?;
    if (RateLimit::MIN_PER..=RateLimit::MAX_PER).contains(&per) {
        return Some(per);
    }
    let message = "the span of a rate is from 1s to 31d";
    let hint = match per < RateLimit::MIN_PER {
        true => "count what begins in `1s` instead",
        false => "write a shorter span with a smaller `limit`",
    };
    let place = fields.get("per")?;
    problems.push(place.error(codes::VALUE, message).hint(hint));
    None
}
