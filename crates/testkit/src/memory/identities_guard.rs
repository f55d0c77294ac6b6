//! What the model of an identity repository checks, and which rules see it when a check is gone.

use crate::guard::guards;

guards! {
    /// One thing that [`MemoryIdentityRepo`](super::MemoryIdentityRepo) takes care of.
    IdentityGuard {
        /// Every part is kept.
        Keeps => [a_principal_is_read_as_it_was_put],
        /// What is not there is none.
        UnknownIsNone => [an_unknown_principal_is_none],
        /// The newest version counts.
        Replaces => [the_next_version_takes_the_place_of_the_last],
        /// Only the next version is stored.
        NextVersion => [a_version_that_is_not_the_next_changes_nothing],
        /// A repeated put is known.
        Repeated => [a_put_that_is_repeated_is_the_same],
        /// A put sees what the put before left.
        PutAtOnce => [of_puts_at_once_one_wins],
        /// A login is one principal's.
        LoginOnce => [a_login_belongs_to_one_principal],
        /// A subject is one principal's.
        SubjectOnce => [a_subject_belongs_to_one_principal],
        /// A name that was given up is free.
        Freed => [a_login_that_was_given_up_is_free],
        /// A person stays a person.
        KindStays => [a_kind_never_changes],
        /// Texts have possible lengths.
        Sizes => [a_principal_without_possible_texts_is_refused],
        /// Versions have the store's time.
        StoreTime => [a_standing_has_the_time_of_the_store],
        /// Logins and subjects find.
        Finds => [a_principal_is_found_by_login_and_subject],
        /// Listings are in order.
        ListOrder => [principals_are_listed_by_login],
        /// Pages join.
        ListPages => [pages_of_principals_join],
        /// Principals are bounded.
        PrincipalLimit => [more_principals_than_the_limit_are_refused],
        /// What is deleted is gone.
        Deletes => [a_deleted_principal_is_gone],
        /// Deleting says whether there was one.
        DeleteTells => [deleting_says_whether_there_was_a_principal],
        /// Memberships go with their principal.
        DeleteMemberships => [a_deleted_principal_leaves_no_memberships],
        /// Keys go with their principal.
        DeleteKeys => [a_deleted_principal_leaves_no_keys],
        /// Every part of a project is kept.
        ProjectKeeps => [a_project_is_listed_as_it_was_put],
        /// Only the next version of a project is stored.
        ProjectVersion => [a_version_of_a_project_that_is_not_the_next_changes_nothing],
        /// A repeated put of a project is known.
        ProjectRepeated => [a_put_of_a_project_that_is_repeated_is_the_same],
        /// A project has a possible name.
        ProjectSizes => [a_project_without_a_possible_name_is_refused],
        /// Pages of projects join.
        ProjectPages => [pages_of_projects_join],
        /// Projects are bounded.
        ProjectLimit => [more_projects_than_the_limit_are_refused],
        /// Memberships go with their project.
        ProjectMemberships => [a_deleted_project_leaves_no_memberships],
        /// Keys go with their project.
        ProjectKeys => [a_deleted_project_leaves_no_keys],
        /// Deleting says whether there was a project.
        ProjectTells => [deleting_says_whether_there_was_a_project],
        /// A membership is kept.
        MembershipKeeps => [a_membership_is_read_as_it_was_changed],
        /// It changes from the role that was seen.
        MembershipFrom => [a_membership_changes_only_from_the_role_that_was_seen],
        /// A repeated change is known.
        MembershipRepeated => [a_change_of_a_membership_that_is_repeated_is_the_same],
        /// It needs its principal and its project.
        MembershipUnknown => [a_membership_needs_its_principal_and_its_project],
        /// That of all projects is another one.
        MembershipApart => [a_role_in_all_projects_is_apart_from_one_in_a_project],
        /// A change sees what the change before left.
        MembershipAtOnce => [of_changes_of_a_membership_at_once_one_wins],
        /// Pages of members join.
        MemberPages => [pages_of_members_join],
        /// Memberships are bounded.
        MembershipLimit => [more_memberships_than_the_limit_are_refused],
        /// The last owner stays one.
        OwnerRole => [the_last_owner_keeps_its_role],
        /// The last owner stays enabled.
        OwnerDisabled => [the_last_owner_is_not_disabled],
        /// The last owner stays.
        OwnerDeleted => [the_last_owner_is_not_deleted],
        /// Who cannot log in owns nothing.
        OwnerCounts => [who_is_disabled_or_no_person_is_no_other_owner],
        /// A key is kept.
        KeyKeeps => [a_key_is_read_as_it_was_added],
        /// A key needs its principal and its project.
        KeyUnknown => [a_key_needs_its_principal_and_its_project],
        /// A prefix is one key's.
        KeyTaken => [a_prefix_belongs_to_one_key],
        /// A repeated addition is known.
        KeyRepeated => [an_addition_that_is_repeated_is_the_same],
        /// A key has possible texts.
        KeySizes => [a_key_without_possible_texts_is_refused],
        /// A key expires.
        KeyExpires => [a_key_is_over_by_the_time_of_the_store],
        /// A key comes with its own principal.
        KeyStands => [a_key_comes_with_its_principal],
        /// A use is noted.
        KeyUsed => [a_use_of_a_key_is_noted],
        /// Seldom.
        KeySeldom => [uses_of_a_key_are_written_seldom],
        /// A removed key is gone.
        KeyRemoves => [a_removed_key_is_gone],
        /// A listing has the keys of one principal.
        KeyLists => [keys_are_those_of_one_principal_by_prefix],
        /// Keys are bounded.
        KeyLimit => [more_keys_than_the_limit_are_refused],
        /// Another tenant reads nothing.
        TenantReads => [another_tenant_reads_no_principal],
        /// Another tenant puts its own.
        TenantPuts => [one_login_in_two_tenants_is_two_principals],
        /// Another tenant deletes nothing.
        TenantDeletes => [another_tenant_deletes_nothing],
        /// Another tenant has its own projects.
        TenantProjects => [another_tenant_has_projects_of_its_own],
        /// Another tenant changes and lists no membership.
        TenantMembers => [another_tenant_changes_no_membership],
        /// Another tenant has no key.
        TenantKeys => [another_tenant_has_no_key],
    }
}
