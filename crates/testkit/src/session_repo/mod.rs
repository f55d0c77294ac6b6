//! The rules of [`SessionRepo`]: what every store of sessions must prove.
//!
//! A driver's test is `nebula_testkit::session_repo!(|clock| async move { … })`, where the expression
//! makes an empty store, as `Arc<dyn SessionRepo>`, that reads its time from the
//! [`ManualClock`](crate::ManualClock) it is given.
//!
//! # What the trait leaves open, settled here
//! - Whatever ends at a time has ended at that moment.
//! - An exchange is repeated only while the token that it gave is the last one.

use std::future::Future;

use nebula_ports::SessionRepo;

use crate::suite::rule_table;

mod fixture;
mod lasting;
mod once;
mod rotation;
mod tenant;
mod tries;

pub use lasting::*;
pub use once::*;
pub use rotation::*;
pub use tenant::*;
pub use tries::*;

/// Makes one test for each rule of [`SessionRepo`] on what the expression makes.
#[macro_export]
macro_rules! session_repo {
    ($make:expr) => {
        $crate::session_repo_rules! { $crate::rule_tests, (session_repo, $make) }
    };
}

/// Hands the list of rules to another macro.
#[doc(hidden)]
#[macro_export]
macro_rules! session_repo_rules {
    ($then:path, $args:tt) => {
        $then! {
            $args
            a_session_is_read_as_it_was_opened,
            an_unknown_token_opens_nothing,
            an_opening_that_is_repeated_is_the_same,
            an_id_or_token_of_another_session_is_taken,
            a_session_without_possible_texts_is_refused,
            a_session_ends_without_a_use,
            a_use_keeps_a_session,
            a_look_by_id_is_no_use,
            a_session_ends_at_the_latest_at_its_time,
            uses_of_a_session_are_written_seldom,
            a_closed_session_is_gone,
            closing_one_leaves_the_others,
            closing_all_may_keep_one,
            a_session_of_another_principal_is_not_closed,
            closing_counts_what_lasted,
            sessions_are_listed_newest_first,
            what_is_over_is_not_listed,
            above_the_limit_the_longest_unused_session_goes,
            a_rotation_gives_the_next_token,
            a_rotation_is_a_use,
            a_spent_token_that_comes_again_closes_its_session,
            a_rotation_that_is_repeated_is_the_same,
            of_rotations_at_once_one_wins,
            a_session_that_is_over_is_not_rotated,
            a_session_of_a_browser_is_not_rotated,
            only_the_newest_spent_tokens_are_known,
            a_token_for_one_use_is_taken_once,
            of_takers_at_once_one_gets_it,
            a_token_is_taken_for_its_purpose_alone,
            a_token_for_one_use_ends_at_its_time,
            a_token_alone_takes_the_place_of_others,
            a_token_without_possible_texts_is_refused,
            more_tokens_than_the_limit_are_refused,
            tokens_that_are_over_make_room,
            the_first_tries_need_not_wait,
            waits_grow_up_to_the_longest,
            a_try_that_has_to_wait_is_not_counted,
            tries_at_once_are_all_counted,
            tries_are_forgotten_by_their_time,
            forgetting_tries_begins_anew,
            above_the_limit_who_tried_least_is_forgotten,
            another_tenant_has_no_session,
            another_tenant_takes_no_token,
            another_tenant_counts_its_own_tries,
        }
    };
}

session_repo_rules! { rule_table, (dyn SessionRepo) }
