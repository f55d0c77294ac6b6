//! The rules of [`LeaderElector`]: what every elector must prove.
//!
//! A driver's test is `nebula_testkit::leader_elector!(|clock| async move { … })`, where the expression
//! makes an elector, as `Arc<dyn LeaderElector>`, that knows no duty and reads its time from the
//! [`ManualClock`] it is given.
//!
//! # What the trait leaves open, settled here
//! - A duty that was given back counts among those that an elector knows: its term is remembered.
//! - At the very moment at which its time is over, a duty is free.

use std::{future::Future, sync::Arc, time::Duration};

use futures_util::future::join_all;
use nebula_core::Clock;
use nebula_ports::{
    Campaigned, DutyName, DutyState, ErrorKind, Incarnation, LeaderElector, Leadership, MAX_DUTIES,
    MAX_DUTY_TTL, TermRenewed,
};
use uuid::Uuid;

use crate::{ManualClock, suite::rule_table};

/// Makes one test for each rule of [`LeaderElector`] on what the expression makes.
#[macro_export]
macro_rules! leader_elector {
    ($make:expr) => {
        $crate::leader_elector_rules! { $crate::rule_tests, (leader_elector, $make) }
    };
}

/// Hands the list of rules to another macro.
#[doc(hidden)]
#[macro_export]
macro_rules! leader_elector_rules {
    ($then:path, $args:tt) => {
        $then! {
            $args
            a_free_duty_is_given,
            a_duty_that_is_held_is_given_to_nobody,
            a_leader_is_not_elected_again,
            who_is_refused_learns_when_the_duty_may_be_free,
            a_duty_lasts_until_its_time_is_over,
            a_duty_is_free_once_its_time_is_over,
            a_renewed_duty_lasts_from_its_renewal,
            a_renewal_stays_in_its_term,
            each_election_has_a_higher_term,
            a_term_grows_also_after_the_duty_was_given_back,
            a_duty_that_was_given_back_is_free,
            a_term_after_which_another_was_elected_is_over,
            a_term_that_was_given_back_is_over,
            only_its_leader_renews_a_term,
            giving_back_a_term_that_is_over_changes_nothing,
            only_its_leader_gives_a_term_back,
            a_late_leader_that_nobody_replaced_renews,
            of_candidates_at_once_one_is_elected,
            duties_say_nothing_of_each_other,
            an_impossible_time_is_refused,
            there_are_so_many_duties_and_no_more,
            a_listing_says_who_leads,
            a_listing_says_that_nobody_leads,
        }
    };
}

leader_elector_rules! { rule_table, (dyn LeaderElector) }

type Elector = Arc<dyn LeaderElector>;
type Time = Arc<ManualClock>;

const TTL: Duration = Duration::from_secs(60);
const MILLI: Duration = Duration::from_millis(1);
const FIRST: Incarnation = Incarnation(Uuid::from_bytes([1; 16]));
const SECOND: Incarnation = Incarnation(Uuid::from_bytes([2; 16]));

fn duty(name: &str) -> DutyName {
    DutyName::new(name).expect("it is a name")
}

fn sweep() -> DutyName {
    duty("sweep")
}

async fn campaign(elector: &Elector, candidate: Incarnation) -> Campaigned {
    let campaigned = elector.campaign(&sweep(), candidate, TTL).await;
    campaigned.expect("the elector answers")
}

async fn elected(elector: &Elector, candidate: Incarnation) -> Leadership {
    match campaign(elector, candidate).await {
        Campaigned::Elected(leadership) => leadership,
        held @ Campaigned::Held { .. } => panic!("the duty is not free: {held:?}"),
    }
}

async fn is_held(elector: &Elector) -> bool {
    matches!(campaign(elector, SECOND).await, Campaigned::Held { .. })
}

async fn renew(elector: &Elector, leadership: &Leadership) -> TermRenewed {
    elector
        .renew(leadership)
        .await
        .expect("the elector answers")
}

async fn resign(elector: &Elector, leadership: &Leadership) {
    let resigned = elector.resign(leadership).await;
    resigned.expect("the elector answers");
}

async fn listed(elector: &Elector) -> Vec<DutyState> {
    elector.duties().await.expect("the elector answers")
}

/// In term 1, as it was asked for. Guard: `DutyGuard::FromOne`.
pub async fn a_free_duty_is_given(elector: &Elector, _: &Time) {
    let leadership = Leadership {
        duty: sweep(),
        leader: FIRST,
        term: 1,
        ttl: TTL,
    };
    assert_eq!(elected(elector, FIRST).await, leadership);
}

/// One leads at a time. Guard: `DutyGuard::Held`.
pub async fn a_duty_that_is_held_is_given_to_nobody(elector: &Elector, _: &Time) {
    elected(elector, FIRST).await;
    assert!(is_held(elector).await);
}

/// It would have two terms at once: a task of its that was forgotten would go on in the first.
/// Guard: `DutyGuard::Itself`.
pub async fn a_leader_is_not_elected_again(elector: &Elector, _: &Time) {
    elected(elector, FIRST).await;
    let again = campaign(elector, FIRST).await;
    assert!(matches!(again, Campaigned::Held { term: 1, .. }));
}

/// By the elector's clock. Guard: `DutyGuard::TellsUntil`.
pub async fn who_is_refused_learns_when_the_duty_may_be_free(elector: &Elector, clock: &Time) {
    let until = clock.now().plus(TTL);
    elected(elector, FIRST).await;
    let held = campaign(elector, SECOND).await;
    assert_eq!(held, Campaigned::Held { term: 1, until });
}

/// To the last millisecond. Guard: `DutyGuard::Lasts`.
pub async fn a_duty_lasts_until_its_time_is_over(elector: &Elector, clock: &Time) {
    elected(elector, FIRST).await;
    clock.advance(TTL - MILLI);
    assert!(is_held(elector).await);
}

/// Whatever became of its leader. Guard: `DutyGuard::Ends`.
pub async fn a_duty_is_free_once_its_time_is_over(elector: &Elector, clock: &Time) {
    elected(elector, FIRST).await;
    clock.advance(TTL);
    assert_eq!(elected(elector, SECOND).await.leader, SECOND);
}

/// Not from the end of what it was. Guard: `DutyGuard::RenewLasts`.
pub async fn a_renewed_duty_lasts_from_its_renewal(elector: &Elector, clock: &Time) {
    let leadership = elected(elector, FIRST).await;
    clock.advance(TTL / 2);
    assert_eq!(renew(elector, &leadership).await, TermRenewed::Renewed);
    clock.advance(TTL - MILLI);
    assert!(is_held(elector).await);
    clock.advance(MILLI);
    assert!(!is_held(elector).await);
}

/// It is no election. Guard: `DutyGuard::RenewKeeps`.
pub async fn a_renewal_stays_in_its_term(elector: &Elector, _: &Time) {
    let leadership = elected(elector, FIRST).await;
    assert_eq!(renew(elector, &leadership).await, TermRenewed::Renewed);
    assert_eq!(renew(elector, &leadership).await, TermRenewed::Renewed);
    let held = campaign(elector, SECOND).await;
    assert!(matches!(held, Campaigned::Held { term: 1, .. }));
}

/// Also of the same candidate. Guard: `DutyGuard::Grows`.
pub async fn each_election_has_a_higher_term(elector: &Elector, clock: &Time) {
    let mut terms = Vec::new();
    for candidate in [FIRST, SECOND, SECOND, FIRST] {
        terms.push(elected(elector, candidate).await.term);
        clock.advance(TTL);
    }
    assert!(terms.is_sorted_by(|one, next| one < next), "{terms:?}");
}

/// A term is never given twice. Guard: `DutyGuard::Remembers`.
pub async fn a_term_grows_also_after_the_duty_was_given_back(elector: &Elector, _: &Time) {
    let first = elected(elector, FIRST).await;
    resign(elector, &first).await;
    let second = elected(elector, FIRST).await;
    assert!(second.term > first.term);
}

/// Nobody waits for the end of its time. Guard: `DutyGuard::Resigns`.
pub async fn a_duty_that_was_given_back_is_free(elector: &Elector, _: &Time) {
    let leadership = elected(elector, FIRST).await;
    resign(elector, &leadership).await;
    assert!(!is_held(elector).await);
}

/// The fence: whoever wakes up late learns that it leads no more. Guard: `DutyGuard::Fence`.
pub async fn a_term_after_which_another_was_elected_is_over(elector: &Elector, clock: &Time) {
    let first = elected(elector, FIRST).await;
    clock.advance(TTL);
    let second = elected(elector, SECOND).await;
    assert_eq!(renew(elector, &first).await, TermRenewed::Over);
    clock.advance(TTL);
    // Also once nobody leads, and where the later leader is the same.
    assert_eq!(renew(elector, &first).await, TermRenewed::Over);
    assert_eq!(renew(elector, &second).await, TermRenewed::Renewed);
    clock.advance(TTL);
    let third = elected(elector, SECOND).await;
    assert_eq!(renew(elector, &second).await, TermRenewed::Over);
    assert_eq!(renew(elector, &third).await, TermRenewed::Renewed);
}

/// What was given back is gone, whether somebody has it or not. Guard: `DutyGuard::GivenBackIsOver`.
pub async fn a_term_that_was_given_back_is_over(elector: &Elector, _: &Time) {
    let leadership = elected(elector, FIRST).await;
    resign(elector, &leadership).await;
    assert_eq!(renew(elector, &leadership).await, TermRenewed::Over);
}

/// A term belongs to one. Guard: `DutyGuard::OnlyLeader`.
pub async fn only_its_leader_renews_a_term(elector: &Elector, _: &Time) {
    let leadership = elected(elector, FIRST).await;
    let another = Leadership {
        leader: SECOND,
        ..leadership
    };
    assert_eq!(renew(elector, &another).await, TermRenewed::Over);
}

/// The later leader keeps the duty. Guard: `DutyGuard::ResignFence`.
pub async fn giving_back_a_term_that_is_over_changes_nothing(elector: &Elector, clock: &Time) {
    for later in [FIRST, SECOND] {
        let first = elected(elector, SECOND).await;
        clock.advance(TTL);
        elected(elector, later).await;
        resign(elector, &first).await;
        assert!(is_held(elector).await);
        clock.advance(TTL);
    }
}

/// A term belongs to one, who alone gives it back. Guard: `DutyGuard::ResignOnlyLeader`.
pub async fn only_its_leader_gives_a_term_back(elector: &Elector, _: &Time) {
    let leadership = elected(elector, FIRST).await;
    let another = Leadership {
        leader: SECOND,
        ..leadership
    };
    resign(elector, &another).await;
    assert!(is_held(elector).await);
}

/// Nobody else has acted meanwhile. Guard: `DutyGuard::Late`.
pub async fn a_late_leader_that_nobody_replaced_renews(elector: &Elector, clock: &Time) {
    let leadership = elected(elector, FIRST).await;
    clock.advance(TTL * 3);
    assert_eq!(renew(elector, &leadership).await, TermRenewed::Renewed);
    assert!(is_held(elector).await);
}

/// Whatever the order in which they come. Guard: `DutyGuard::AtOnce`.
pub async fn of_candidates_at_once_one_is_elected(elector: &Elector, _: &Time) {
    let candidates = (0..8).map(|n| Incarnation(Uuid::from_bytes([n; 16])));
    let all = join_all(candidates.map(|it| campaign(elector, it))).await;
    let elected = all.iter().filter(|it| matches!(it, Campaigned::Elected(_)));
    assert_eq!(elected.count(), 1, "{all:?}");
}

/// Each has a leader and terms of its own. Guard: `DutyGuard::OneDuty`.
pub async fn duties_say_nothing_of_each_other(elector: &Elector, _: &Time) {
    elected(elector, FIRST).await;
    let other = elector.campaign(&duty("sweep.2"), SECOND, TTL).await;
    let Ok(Campaigned::Elected(other)) = other else {
        panic!("it is free: {other:?}")
    };
    assert_eq!((other.term, other.duty.as_str()), (1, "sweep.2"));
    resign(elector, &other).await;
    assert!(is_held(elector).await);
}

/// And changes nothing. Guard: `DutyGuard::CheckTtl`.
pub async fn an_impossible_time_is_refused(elector: &Elector, _: &Time) {
    for ttl in [Duration::ZERO, MAX_DUTY_TTL + MILLI] {
        let error = elector.campaign(&sweep(), FIRST, ttl).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Invalid);
    }
    let longest = elector.campaign(&sweep(), FIRST, MAX_DUTY_TTL).await;
    let Ok(Campaigned::Elected(longest)) = longest else {
        panic!("it is free: {longest:?}")
    };
    assert_eq!((longest.term, longest.ttl), (1, MAX_DUTY_TTL));
}

/// Those that are known go on. Guard: `DutyGuard::Most`.
pub async fn there_are_so_many_duties_and_no_more(elector: &Elector, _: &Time) {
    let mut last = None;
    for n in 0..MAX_DUTIES {
        let name = duty(&format!("duty-{n}"));
        last = Some(elector.campaign(&name, FIRST, TTL).await);
    }
    let Some(Ok(Campaigned::Elected(last))) = last else {
        panic!("there is room for it: {last:?}")
    };
    let error = elector.campaign(&sweep(), FIRST, TTL).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Full);
    resign(elector, &last).await;
    let again = elector.campaign(&last.duty, SECOND, TTL).await;
    assert!(matches!(again, Ok(Campaigned::Elected(it)) if it.term == 2));
}

/// By name, with the term and until when. Guard: `DutyGuard::Lists`.
pub async fn a_listing_says_who_leads(elector: &Elector, clock: &Time) {
    assert_eq!(listed(elector).await, []);
    let first = elected(elector, FIRST).await;
    resign(elector, &first).await;
    elected(elector, SECOND).await;
    let early = duty("blobs");
    let other = elector.campaign(&early, FIRST, TTL / 2).await;
    assert!(matches!(other, Ok(Campaigned::Elected(_))));
    let state = |duty, term, leader, ttl| DutyState {
        duty,
        term,
        leader: Some((leader, clock.now().plus(ttl))),
    };
    let expected = [
        state(early, 1, FIRST, TTL / 2),
        state(sweep(), 2, SECOND, TTL),
    ];
    assert_eq!(listed(elector).await, expected);
}

/// Once it is given back, or its time is over. Guard: `DutyGuard::ListsOver`.
pub async fn a_listing_says_that_nobody_leads(elector: &Elector, clock: &Time) {
    let first = elected(elector, FIRST).await;
    let free = |term| DutyState {
        duty: sweep(),
        term,
        leader: None,
    };
    resign(elector, &first).await;
    assert_eq!(listed(elector).await, [free(1)]);
    elected(elector, SECOND).await;
    clock.advance(TTL);
    assert_eq!(listed(elector).await, [free(2)]);
}
