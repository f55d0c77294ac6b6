//! What the workflow model checks, and which rules see it when a check is gone.

use crate::guard::guards;

guards! {
    /// One thing that [`MemoryWorkflowRepo`](super::MemoryWorkflowRepo) takes care of.
    WorkflowGuard {
        /// Versions begin at 1.
        FirstVersion => [the_first_save_is_version_one],
        /// Versions have no gaps.
        Numbering => [versions_are_numbered_without_gaps],
        /// The same digest is the same version.
        SameDigest => [the_same_digest_is_the_same_version],
        /// Also one that is not the latest.
        AnyDigest => [an_older_digest_is_found_again],
        /// A save compares the revision.
        SaveRevision => [a_save_from_an_outdated_revision_changes_nothing, of_saves_at_once_one_wins],
        /// A conflict tells the revision.
        ConflictTells => [a_conflict_tells_the_revision],
        /// The digest is compared before the revision.
        DigestFirst => [a_repeated_save_is_unchanged],
        /// Without a revision, a save overrides.
        Override => [a_save_without_a_revision_overrides],
        /// An unknown workflow has revision 0.
        UnknownRevision => [a_workflow_that_is_not_there_has_revision_zero],
        /// Versions never change.
        Immutable => [a_version_never_changes],
        /// The latest is the default.
        LatestDefault => [the_latest_version_is_the_default],
        /// What is not there is not there.
        UnknownIsNone => [an_unknown_workflow_or_version_is_none],
        /// Versions have the store's time.
        StoreTime => [a_version_has_the_time_of_the_store],
        /// A publication moves the pointer.
        PublishMoves => [a_publication_moves_the_pointer],
        /// Saving does not.
        SaveKeepsPointer => [a_save_leaves_the_pointer_alone],
        /// A publication compares the revision.
        PublishRevision => [a_publication_from_an_outdated_revision_changes_nothing],
        /// A publication needs a version.
        PublishUnknown => [a_publication_needs_its_version],
        /// A publication raises the revision.
        PublishRaises => [a_publication_is_seen_by_the_next_author],
        /// Listings are by id.
        ListOrder => [workflows_are_listed_by_id],
        /// Pages join.
        ListPages => [pages_of_workflows_join],
        /// The name is the latest one.
        LatestName => [a_listing_has_the_latest_name],
        /// Versions are listed newest first.
        VersionsOrder => [versions_are_listed_newest_first],
        /// Parts of them join.
        VersionsJoin => [parts_of_the_versions_join],
        /// A workflow is told with its versions, from the same moment.
        VersionsTell => [versions_come_with_their_workflow],
        /// Also one that was archived.
        VersionsArchived => [an_archived_workflow_has_its_versions],
        /// What is not there has none.
        VersionsUnknown => [an_unknown_workflow_has_no_versions],
        /// A search ignores case.
        SearchCase => [a_search_ignores_case],
        /// A search looks at ids too.
        SearchId => [a_search_looks_at_id_and_name],
        /// Archived workflows are not listed.
        ArchivedHidden => [an_archived_workflow_leaves_the_listing],
        /// But they can be read.
        ArchivedKept => [an_archived_workflow_can_still_be_read],
        /// And brought back.
        Unarchive => [an_archived_workflow_comes_back],
        /// Archiving needs a workflow.
        ArchiveUnknown => [archiving_says_whether_there_is_one],
        /// Tokens come from a page before.
        TokenCheck => [a_foreign_workflow_token_is_refused],
        /// Plans are kept by digest.
        Plans => [plans_are_kept_by_their_digest],
        /// The first bytes stay.
        PlanOnce => [the_same_plan_again_changes_nothing],
        /// Plans belong to a tenant.
        PlanTenant => [plans_belong_to_their_tenant],
        /// Another tenant reads nothing.
        TenantReads => [another_tenant_sees_no_workflow],
        /// Another tenant writes nothing.
        TenantWrites => [one_id_in_two_tenants_is_two_workflows],
        /// A new workflow belongs where its first save says.
        ProjectFirst => [a_new_workflow_belongs_to_its_project],
        /// A later save moves nothing.
        ProjectStays => [a_save_moves_no_workflow],
        /// A move does.
        ProjectMoves => [a_workflow_is_moved],
        /// Moving needs a workflow.
        MoveUnknown => [moving_says_whether_there_is_a_workflow],
        /// Another tenant moves nothing.
        TenantMoves => [another_tenant_moves_no_workflow],
        /// A listing of projects has theirs alone.
        ProjectFilter => [a_listing_of_projects_has_theirs_alone],
    }
}
