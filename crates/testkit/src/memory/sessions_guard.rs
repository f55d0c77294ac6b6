//! What the model of a session repository checks, and which rules see it when a check is gone.

use crate::guard::guards;

guards! {
    /// One thing that [`MemorySessionRepo`](super::MemorySessionRepo) takes care of.
    SessionGuard {
        /// Every part is kept.
        Keeps => [a_session_is_read_as_it_was_opened],
        /// What nobody opened is none.
        UnknownIsNone => [an_unknown_token_opens_nothing],
        /// A repeated opening is known.
        OpenRepeated => [an_opening_that_is_repeated_is_the_same],
        /// Ids and tokens are one session's.
        OpenTaken => [an_id_or_token_of_another_session_is_taken],
        /// Texts have possible lengths.
        Sizes => [a_session_without_possible_texts_is_refused],
        /// A session ends without a use.
        IdleEnds => [a_session_ends_without_a_use],
        /// A use keeps it.
        UseKeeps => [a_use_keeps_a_session],
        /// A look by id is no use.
        LookIsNoUse => [a_look_by_id_is_no_use],
        /// A session ends at its time.
        Ends => [a_session_ends_at_the_latest_at_its_time],
        /// Uses are written seldom.
        UseSeldom => [uses_of_a_session_are_written_seldom],
        /// What is closed is gone.
        Closes => [a_closed_session_is_gone],
        /// The others stay.
        ClosesOne => [closing_one_leaves_the_others],
        /// One may be kept.
        ClosesBut => [closing_all_may_keep_one],
        /// Those of others stay.
        ClosesOwn => [a_session_of_another_principal_is_not_closed],
        /// Closing counts.
        CloseCounts => [closing_counts_what_lasted],
        /// Listings are in order.
        ListOrder => [sessions_are_listed_newest_first],
        /// What is over is not listed.
        ListLasting => [what_is_over_is_not_listed],
        /// Sessions are bounded.
        SessionLimit => [above_the_limit_the_longest_unused_session_goes],
        /// A rotation gives the next token.
        Rotates => [a_rotation_gives_the_next_token],
        /// A rotation is a use.
        RotateIsUse => [a_rotation_is_a_use],
        /// Reuse closes.
        ReuseCloses => [a_spent_token_that_comes_again_closes_its_session],
        /// A repeated rotation is known.
        RotateRepeated => [a_rotation_that_is_repeated_is_the_same],
        /// A rotation sees what the one before left.
        RotateAtOnce => [of_rotations_at_once_one_wins],
        /// What is over is not rotated.
        RotateLasting => [a_session_that_is_over_is_not_rotated],
        /// A browser's token stays.
        RotateKind => [a_session_of_a_browser_is_not_rotated],
        /// Spent tokens are bounded.
        SpentLimit => [only_the_newest_spent_tokens_are_known],
        /// A token for one use is taken once.
        OnceTaken => [a_token_for_one_use_is_taken_once],
        /// Also by many at once.
        OnceAtOnce => [of_takers_at_once_one_gets_it],
        /// For its purpose.
        OncePurpose => [a_token_is_taken_for_its_purpose_alone],
        /// Before its time is over.
        OnceEnds => [a_token_for_one_use_ends_at_its_time],
        /// One alone takes the place of others.
        OnceAlone => [a_token_alone_takes_the_place_of_others],
        /// It has possible texts.
        OnceSizes => [a_token_without_possible_texts_is_refused],
        /// Tokens are bounded.
        OnceLimit => [more_tokens_than_the_limit_are_refused],
        /// Those that are over do not count.
        OnceRoom => [tokens_that_are_over_make_room],
        /// The first tries are free.
        AttemptFree => [the_first_tries_need_not_wait],
        /// Waits grow.
        AttemptGrows => [waits_grow_up_to_the_longest],
        /// A try that waits does not count.
        AttemptWaits => [a_try_that_has_to_wait_is_not_counted],
        /// A try sees the tries before.
        AttemptAtOnce => [tries_at_once_are_all_counted],
        /// Tries are forgotten.
        AttemptForgets => [tries_are_forgotten_by_their_time],
        /// Also at once.
        AttemptForgotten => [forgetting_tries_begins_anew],
        /// Those who try are bounded.
        AttemptLimit => [above_the_limit_who_tried_least_is_forgotten],
        /// Another tenant has its own sessions.
        TenantSessions => [another_tenant_has_no_session],
        /// Another tenant takes no token.
        TenantOnce => [another_tenant_takes_no_token],
        /// Another tenant counts its own tries.
        TenantAttempts => [another_tenant_counts_its_own_tries],
    }
}
