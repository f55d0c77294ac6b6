//! Layers around an async call: a time limit, a second try beside the first, tries one after the other.
//!
//! Each takes a call and gives a call, so that they can be put into each other.

use std::{future::Future, pin::pin, time::Duration};

use nebula_core::Clock;

use crate::RetryPolicy;

/// The time for a call is over; what it did is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimedOut;

/// Waits for `call` no longer than `limit`.
///
/// A call that has ended by then counts, also where both are seen together.
///
/// # Errors
/// [`TimedOut`]; the call was dropped.
///
/// # Cancel safety
/// That of `call`.
pub async fn timeout<T>(
    clock: &dyn Clock,
    limit: Duration,
    call: impl Future<Output = T>,
) -> Result<T, TimedOut> {
    tokio::select! {
        biased;
        ended = call => Ok(ended),
        () = clock.sleep(limit) => Err(TimedOut),
    }
}

/// What [`retry`] makes of an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Again {
    /// Another try may help, not before this if the other side said so.
    Yes(Option<Duration>),
    /// Another try gives the same, or could do something twice.
    No,
}

/// Makes `call` until it succeeds, `judge` says that another try does not help, or `policy` has no more
/// attempts. It waits in memory: for delays that outlive a process there is the engine's own retry.
///
/// `call` gets the number of the attempt, from 1. A wait that an error asks for and that is longer than
/// the policy's `max` is not made here: that error is the result, for whoever can wait so long.
///
/// # Errors
/// That of the last attempt.
///
/// # Cancel safety
/// That of `call`; dropped in a wait, no further attempt is made.
pub async fn retry<T, E, F: Future<Output = Result<T, E>>>(
    clock: &dyn Clock,
    policy: &RetryPolicy,
    seed: u64,
    judge: impl Fn(&E) -> Again,
    mut call: impl FnMut(u32) -> F,
) -> Result<T, E> {
    let mut attempt = 1;
    loop {
        let error = match call(attempt).await {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        let after = match judge(&error) {
            Again::Yes(after) if attempt < policy.max_attempts => after,
            Again::Yes(_) | Again::No => return Err(error),
        };
        let delay = policy.delay_after(attempt, seed, after);
        if delay > policy.max {
            return Err(error);
        }
        clock.sleep(delay).await;
        attempt += 1;
    }
}

/// Makes `call`, and, where it has no result after `delay`, a second time beside the first; whichever
/// succeeds first counts, and the other is dropped. Only for what changes nothing outside: the caller
/// says so by calling this.
///
/// `call` gets 1 and 2. `None` as its second call makes none: the other limits have no room for it.
///
/// # Errors
/// Of both calls, that of the one that failed last.
///
/// # Cancel safety
/// That of `call`; both are dropped.
pub async fn hedge<T, E, F: Future<Output = Result<T, E>>>(
    clock: &dyn Clock,
    delay: Duration,
    mut call: impl FnMut(u32) -> Option<F>,
) -> Option<Result<T, E>> {
    let mut first = pin!(call(1)?);
    tokio::select! {
        biased;
        ended = &mut first => return Some(ended),
        () = clock.sleep(delay) => {}
    }
    let Some(second) = call(2) else {
        return Some(first.await);
    };
    let mut second = pin!(second);
    Some(tokio::select! {
        biased;
        ended = &mut first => match ended {
            Ok(value) => Ok(value),
            Err(_) => second.await,
        },
        ended = &mut second => match ended {
            Ok(value) => Ok(value),
            Err(_) => first.await,
        },
    })
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use futures_util::FutureExt;
    use nebula_testkit::{ManualClock, run};

    use super::*;
    use crate::{Backoff, Jitter};

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// Moves the clock from one sleeper to the next until `call` has ended.
    async fn through<T>(clock: &ManualClock, call: impl Future<Output = T>) -> T {
        let mut call = pin!(call);
        loop {
            if let Some(ended) = call.as_mut().now_or_never() {
                return ended;
            }
            assert!(clock.advance_to_next(), "it waits for nothing");
        }
    }

    #[test]
    fn a_call_that_takes_too_long_is_dropped() {
        run(async {
            let clock = ManualClock::default();
            let within = async { clock.sleep(ms(5)).await };
            assert_eq!(
                through(&clock, timeout(&clock, ms(6), within)).await,
                Ok(())
            );
            let beyond = async { clock.sleep(ms(6)).await };
            let ended = through(&clock, timeout(&clock, ms(5), beyond)).await;
            assert_eq!((ended, clock.sleepers()), (Err(TimedOut), 0));
            // Both at once: what has ended counts.
            let together = async { clock.sleep(ms(5)).await };
            assert_eq!(
                through(&clock, timeout(&clock, ms(5), together)).await,
                Ok(())
            );
        });
    }

    fn policy() -> RetryPolicy {
        RetryPolicy {
            max_attempts: 3,
            backoff: Backoff::Fixed,
            initial: ms(100),
            max: ms(1_000),
            jitter: Jitter::None,
        }
    }

    /// Retries calls that end so; gives the times of the attempts and the result.
    async fn tries(answers: &[Result<u8, Again>]) -> (Vec<u64>, Result<u8, Again>) {
        let (clock, times) = (ManualClock::default(), RefCell::new(Vec::new()));
        let call = |attempt: u32| {
            times
                .borrow_mut()
                .push(u64::try_from(clock.monotonic().as_millis()).unwrap());
            let answer = answers[attempt as usize - 1];
            async move { answer }
        };
        let ended = through(&clock, retry(&clock, &policy(), 0, |error| *error, call)).await;
        (times.into_inner(), ended)
    }

    #[test]
    fn it_is_tried_again_as_often_as_the_policy_and_the_errors_say() {
        const SOON: Again = Again::Yes(None);
        run(async {
            assert_eq!(tries(&[Ok(1)]).await, (vec![0], Ok(1)));
            assert_eq!(tries(&[Err(SOON), Ok(2)]).await, (vec![0, 100], Ok(2)));
            let ended = tries(&[Err(SOON), Err(SOON), Err(SOON), Ok(4)]).await;
            assert_eq!(ended, (vec![0, 100, 200], Err(SOON)));
            assert_eq!(
                tries(&[Err(Again::No), Ok(2)]).await,
                (vec![0], Err(Again::No))
            );
            let asked = Again::Yes(Some(ms(700)));
            assert_eq!(tries(&[Err(asked), Ok(2)]).await, (vec![0, 700], Ok(2)));
            // Nobody sleeps for an hour in memory.
            let asked = Again::Yes(Some(Duration::from_hours(1)));
            assert_eq!(tries(&[Err(asked), Ok(2)]).await, (vec![0], Err(asked)));
        });
    }

    /// Calls that take so many milliseconds each; gives when the result was there and which calls began.
    async fn hedged(
        calls: [(u64, Result<u8, u8>); 2],
        room: bool,
    ) -> (u64, Result<u8, u8>, Vec<u32>) {
        let (clock, begun) = (ManualClock::default(), RefCell::new(Vec::new()));
        let call = |number: u32| {
            if number == 2 && !room {
                return None;
            }
            begun.borrow_mut().push(number);
            let (millis, answer) = calls[number as usize - 1];
            let clock = clock.clone();
            Some(async move {
                clock.sleep(ms(millis)).await;
                answer
            })
        };
        let ended = through(&clock, hedge(&clock, ms(50), call)).await.unwrap();
        assert_eq!(clock.sleepers(), 0);
        let at = u64::try_from(clock.monotonic().as_millis()).unwrap();
        (at, ended, begun.into_inner())
    }

    #[test]
    fn a_slow_read_is_asked_a_second_time_and_the_first_success_counts() {
        run(async {
            let check = async |calls, room, expected: (u64, Result<u8, u8>, &[u32])| {
                let (at, ended, begun) = hedged(calls, room).await;
                assert_eq!((at, ended, begun.as_slice()), expected);
            };
            check([(40, Ok(1)), (9, Ok(2))], true, (40, Ok(1), &[1])).await;
            check([(40, Err(1)), (9, Ok(2))], true, (40, Err(1), &[1])).await;
            check([(500, Ok(1)), (9, Ok(2))], true, (59, Ok(2), &[1, 2])).await;
            check([(70, Ok(1)), (90, Ok(2))], true, (70, Ok(1), &[1, 2])).await;
            check([(70, Err(1)), (90, Ok(2))], true, (140, Ok(2), &[1, 2])).await;
            check([(200, Ok(1)), (9, Err(2))], true, (200, Ok(1), &[1, 2])).await;
            check([(200, Err(1)), (9, Err(2))], true, (200, Err(1), &[1, 2])).await;
            check([(200, Ok(1)), (9, Ok(2))], false, (200, Ok(1), &[1])).await;
        });
    }
}
