//! The rules of [`HttpClient`]: what every way out must prove, against servers that do their worst.
//!
//! A driver's test is `nebula_testkit::http_client!(|names| async move { … })`, where the expression makes
//! a client, as `Arc<dyn HttpClient>`, that asks the [`Names`] it is given for the addresses of names, and
//! takes its time from the host. The servers are real ones on 127.0.0.1, with ports that are free.
//!
//! Nothing here measures time: what a limit ends would never end by itself.

use std::{future::Future, sync::Arc};

use nebula_ports::HttpClient;

mod answers;
mod fixture;
mod forms;
mod names;
mod reach;
mod redirects;
pub mod server;

pub use answers::*;
pub use forms::*;
pub use names::Names;
pub use reach::*;
pub use redirects::*;

/// Runs one rule on what `make` makes.
///
/// # Panics
/// When the rule does not hold.
pub fn check<M, R>(
    make: impl FnOnce(Arc<Names>) -> M,
    rule: impl FnOnce(Arc<dyn HttpClient>, Arc<Names>) -> R,
) where
    M: Future<Output = Arc<dyn HttpClient>>,
    R: Future<Output = ()>,
{
    let names = Arc::new(Names::default());
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("the host has sockets and a timer")
        .block_on(async {
            let client = make(Arc::clone(&names)).await;
            rule(client, names).await;
        });
}

/// Makes one test for each rule of [`HttpClient`] on what the expression makes.
#[macro_export]
macro_rules! http_client {
    ($make:expr) => {
        $crate::http_client_rules! { $crate::rule_tests, (http_client, $make) }
    };
}

/// Hands the list of rules to another macro.
#[doc(hidden)]
#[macro_export]
macro_rules! http_client_rules {
    ($then:path, $args:tt) => {
        $then! {
            $args
            nothing_is_sent_without_a_grant,
            a_bare_connection_goes_where_requests_go,
            a_grant_for_a_port_opens_no_other,
            a_name_is_resolved_only_where_a_grant_leads,
            a_name_that_leads_inside_is_refused,
            one_refused_address_refuses_the_name,
            a_name_that_flips_is_connected_where_it_was_checked,
            a_kept_connection_is_not_used_for_another_address,
            a_kept_connection_does_not_stand_for_a_grant,
            localhost_is_this_machine_whatever_the_resolver_says,
            a_closed_port_is_no_connection,
            an_unknown_name_has_no_address,
            no_form_of_a_url_leads_inside,
            a_url_that_was_not_checked_before_is_checked,
            a_redirect_keeps_or_changes_the_method,
            a_redirect_is_checked_like_the_first_url,
            a_redirect_to_what_is_no_plain_url_is_refused,
            keys_stay_with_the_origin_that_they_were_meant_for,
            redirects_without_end_are_an_error,
            a_redirect_that_is_not_followed_is_the_answer,
            what_does_not_lead_elsewhere_is_an_answer,
            a_stream_is_not_sent_again,
            a_body_that_is_left_out_takes_its_headers_along,
            an_error_after_a_redirect_names_where_it_led,
            what_is_sent_arrives,
            what_is_the_clients_own_is_refused,
            cookies_are_not_kept,
            any_status_is_an_answer,
            a_server_that_does_not_answer_is_given_up,
            a_head_that_drips_is_given_up,
            a_body_that_stops_is_given_up,
            a_body_that_drips_is_given_up,
            redirects_share_the_time_for_everything,
            a_body_that_is_cut_is_broken,
            what_follows_a_body_is_nobodys_answer,
            lengths_that_contradict_each_other_are_broken,
            a_body_without_end_is_too_large,
            a_body_that_says_it_is_too_large_is_not_read,
            a_body_as_large_as_the_limit_is_taken,
            a_zipped_body_is_unzipped,
            a_zip_bomb_is_too_large,
            what_is_no_zip_is_broken,
            a_head_that_is_too_large_is_refused,
            what_is_no_http_is_broken,
            a_body_that_failed_stays_failed,
            an_error_names_the_origin_only,
        }
    };
}
