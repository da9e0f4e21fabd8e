"""The rules of W&B's client that lineage.wandb keeps, in the order they are written down, and the tests that show them.

A rule is shown by tests (``file.py::test``) or by conformance cases (``case <rule>``); where we differ from it, or it
has nothing to say about a local file, it says why.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Rule:
    """One rule.

    Attributes:
        words: What it is about.
        shown: The tests and cases that show it.
        differs: Why we differ from it, or from a part of it.
    """

    words: str
    shown: tuple[str, ...] = ()
    differs: str = ""


ARTIFACT: Final = "test_wandb_artifact.py::test_"
RUN: Final = "test_wandb_run.py::test_"
CONFIG: Final = "test_wandb_config_summary.py::test_"
API: Final = "test_wandb_api.py::test_"

RULES: Final[dict[str, Rule]] = {
    # --- identifiers and validation ---
    "2.1/1": Rule("artifact name", ("case 2.1 artifact name",), "a newline at the end is refused"),
    "2.1/2": Rule("unsafe names made safe", ("case 2.1 safe names", "case 2.10 log_artifact")),
    "2.1/3": Rule("artifact type", ("case 2.1 type",), "an empty type is refused, and one of more than 512 signs"),
    "2.1/4": Rule("project name", ("case 2.1 project",)),
    "2.1/5": Rule("run id", ("case 2.1 run id",)),
    "2.1/6": Rule(
        "alias",
        ("case 2.1 alias", f"{ARTIFACT}aliases_leave_out_the_version"),
        "v and digits, an empty text and control characters are refused",
    ),
    "2.1/7": Rule("artifact tag", ("case 2.1 artifact tag", f"{ARTIFACT}bad_alias_or_tag_is_refused_at_once")),
    "2.1/8": Rule(
        "run tag",
        ("case 2.1 run tag", "case 2.10 attributes"),
        "signs that lineage keeps from tags become _, with a warning",
    ),
    "2.1/9": Rule("path inside an artifact", ("case 2.1 path",)),
    "2.1/10": Rule("a file where a folder is", ("case 2.1 path",), "refused: it could not be downloaded"),
    "2.1/11": Rule(
        "path of a reference",
        (f"{RUN}use_artifact_by_name", f"{RUN}use_artifact_with_too_many_slashes_is_refused"),
    ),
    "2.1/12": Rule("path of a registry", (f"{ARTIFACT}registry_is_a_project_with_spaces_in_its_names",)),
    "2.1/13": Rule("stricter where a name could not be used", ("case 2.1 alias", "case 2.1 path")),
    # --- the constructor ---
    "2.2/1": Rule("no store, no run; use_as and storage_region", ("case 2.2 constructor",)),
    "2.2/2": Rule("digest_algorithm", ("case 2.2 constructor",), "accepted and not followed: digests are BLAKE3"),
    "2.2/3": Rule("metadata", ("case 2.2 metadata", "case 2.2 number of keys")),
    "2.2/4": Rule(
        "metadata in place, checked again at log and save",
        ("case 2.2 number of keys", f"{ARTIFACT}save_keeps_all_or_nothing"),
    ),
    "2.2/5": Rule("big arrays", ("case 2.2 big arrays",), "refused with their key, not turned into text"),
    # --- drafts ---
    "2.3/1": Rule(
        "new_file", ("case 2.3 new_file",), "a block that fails leaves no trace, so that it can be tried again"
    ),
    "2.3/2": Rule("add_file", ("case 2.3 add_file", "case 2.3 content freezes")),
    "2.3/3": Rule("add_dir", ("case 2.3 add_dir",)),
    "2.3/4": Rule("add_reference", ("case 2.9 references",)),
    "2.3/5": Rule(
        "add",
        ("case 2.3 add", f"{ARTIFACT}table_of_another_artifact_is_added_again"),
        "an object that is logged elsewhere already is stored again, and its bytes once",
    ),
    "2.3/6": Rule("remove", ("case 2.3 remove",)),
    "2.3/7": Rule("finalize", ("case 2.3 finalize",)),
    "2.3/8": Rule("threads", ("case 2.3 threads",)),
    # --- manifest and digest ---
    "2.4/1": Rule("manifest", ("case 2.4 manifest", f"{ARTIFACT}manifest_of_a_logged_one")),
    "2.4/2": Rule(
        "what a digest depends on",
        ("case 2.4 digest",),
        "a reference's URI counts, so a reference and a file of that content differ",
    ),
    "2.4/3": Rule("size and file_count", ("case 2.4 size", f"{ARTIFACT}logged_has_what_a_draft_has_not")),
    "2.4/4": Rule(
        "BLAKE3 over sorted paths", ("test_manifest_properties.py::test_digest_does_not_depend_on_order_type_or_words",)
    ),
    # --- states ---
    "2.5/1": Rule(
        "states and id",
        (f"{ARTIFACT}state_goes_from_pending_to_committed_to_deleted", f"{ARTIFACT}log_gives_an_id_and_ends_the_draft"),
    ),
    "2.5/2": Rule("what a draft tells", ("case 2.5 draft",)),
    "2.5/3": Rule("what a draft refuses", ("case 2.5 unlogged",), "is_link is False on a draft, as in W&B 0.31"),
    "2.5/4": Rule(
        "wait",
        ("case 2.5 wait", f"{ARTIFACT}log_gives_an_id_and_ends_the_draft"),
        "nothing is waited for, so WaitTimeoutError never comes",
    ),
    "2.5/5": Rule("names change on commit", (f"{ARTIFACT}log_gives_the_names_a_version",)),
    # --- after commit ---
    "2.6/1": Rule(
        "edits are kept by save, in place and set anew",
        (
            f"{ARTIFACT}words_edited_are_kept_by_save",
            f"{ARTIFACT}edits_are_not_kept_without_save",
            f"{ARTIFACT}content_of_a_logged_one_is_final",
            f"{ARTIFACT}save_leaves_the_edits_of_others",
        ),
    ),
    "2.6/2": Rule(
        "aliases",
        (
            f"{ARTIFACT}aliases_edited_are_kept_by_save",
            f"{ARTIFACT}alias_of_another_version_moves",
            f"{ARTIFACT}aliases_of_a_link_are_its_own",
            f"{ARTIFACT}save_moves_no_alias_that_was_not_touched",
        ),
    ),
    "2.6/3": Rule("tags", (f"{ARTIFACT}tags_edited_are_kept_by_save", f"{ARTIFACT}save_keeps_all_or_nothing")),
    "2.6/4": Rule(
        "save of a draft", (f"{ARTIFACT}save_of_a_draft_logs_it", f"{ARTIFACT}save_of_a_draft_without_a_run_starts_one")
    ),
    "2.6/5": Rule(
        "ttl",
        (
            "case 2.6 ttl",
            f"{ARTIFACT}ttl_is_kept_by_save",
            f"{ARTIFACT}ttl_goes_when_linked_and_is_not_set_on_links",
            f"{ARTIFACT}ttl_of_a_draft_is_logged_with_it",
        ),
        "nothing goes by itself: lineage prune --expired takes what has outlived it",
    ),
    "2.6/6": Rule("history_step", (f"{ARTIFACT}history_step_is_the_last_step_at_the_log",)),
    "2.6/7": Rule("version and source_version", (f"{ARTIFACT}link_is_the_source_under_another_name",)),
    "2.6/8": Rule("qualified_name", (f"{ARTIFACT}log_gives_the_names_a_version",)),
    "2.6/9": Rule(
        "collection",
        (
            f"{API}collection_shows_what_it_is",
            f"{API}collection_save_keeps_name_type_and_description",
            f"{API}collection_delete_takes_all_versions",
        ),
    ),
    # --- reading ---
    "2.7/1": Rule(
        "download",
        (
            f"{ARTIFACT}download_goes_below_artifacts",
            f"{ARTIFACT}download_goes_where_the_environment_says",
            f"{ARTIFACT}download_mends_and_leaves_what_is_not_its_own",
            f"{ARTIFACT}download_of_a_prefix",
            f"{ARTIFACT}download_takes_options_of_networks",
            f"{ARTIFACT}download_of_a_link_goes_to_the_sources_folder",
        ),
    ),
    "2.7/2": Rule("checkout", (f"{ARTIFACT}checkout_leaves_nothing_else",)),
    "2.7/3": Rule(
        "verify", (f"{ARTIFACT}verify_finds_what_is_wrong", f"{ARTIFACT}verify_warns_of_references_known_by_uri")
    ),
    "2.7/4": Rule("file", (f"{ARTIFACT}file_is_the_only_file", f"{ARTIFACT}file_of_several_is_refused")),
    "2.7/5": Rule("files", (f"{ARTIFACT}files_are_gone_through", f"{ARTIFACT}files_are_downloaded_one_by_one")),
    "2.7/6": Rule(
        "get_entry",
        (f"{ARTIFACT}entry_is_found_by_its_exact_path", f"{ARTIFACT}get_gives_media_or_none"),
        "the name of a media object gives its JSON file, as in W&B 0.31",
    ),
    "2.7/7": Rule("get", (f"{ARTIFACT}get_gives_media_or_none",)),
    "2.7/8": Rule(
        "get_added_local_path_name",
        ("case 2.7 get_added_local_path_name", f"{ARTIFACT}added_local_path_is_known_after_the_log"),
    ),
    "2.7/9": Rule(
        "entry", ("case 2.3 add_file", f"{ARTIFACT}entry_is_downloaded_alone", f"{ARTIFACT}entry_knows_its_artifact")
    ),
    "2.7/10": Rule("manifest", (f"{ARTIFACT}manifest_of_a_logged_one",)),
    # --- versions, drafts, deletion, links ---
    "2.8/1": Rule("version numbers", (f"{ARTIFACT}versions_count_up_and_are_never_given_again",)),
    "2.8/2": Rule(
        "new_draft",
        (
            f"{ARTIFACT}new_draft_makes_the_next_version",
            f"{ARTIFACT}new_draft_of_a_link_is_one_of_its_source",
            f"{ARTIFACT}new_draft_is_not_logged_into_another_project",
        ),
    ),
    "2.8/3": Rule(
        "incremental",
        (
            f"{ARTIFACT}incremental_adds_to_the_newest_version",
            f"{ARTIFACT}incremental_of_a_new_name_is_its_first_version",
        ),
    ),
    "2.8/4": Rule(
        "delete",
        (
            f"{ARTIFACT}delete_asks_for_the_aliases",
            f"{ARTIFACT}unlink_leaves_the_source",
            "test_deletion.py::test_delete_version_keeps_node_and_edges",
        ),
    ),
    "2.8/5": Rule("deleting a collection", (f"{API}collection_delete_takes_all_versions",)),
    "2.8/6": Rule(
        "link",
        (
            f"{ARTIFACT}link_is_the_source_under_another_name",
            f"{ARTIFACT}links_are_numbered_in_their_collection",
            f"{ARTIFACT}link_again_keeps_its_number",
            f"{ARTIFACT}link_of_a_draft_logs_it_first",
            f"{ARTIFACT}link_of_a_draft_without_a_run_starts_one",
            f"{ARTIFACT}links_are_found_from_the_source",
        ),
        "linked_artifacts are those of the source's own project",
    ),
    "2.8/7": Rule("unlink", (f"{ARTIFACT}unlink_of_a_source_is_refused", f"{ARTIFACT}unlink_leaves_the_source")),
    "2.8/8": Rule(
        "type and name of a collection",
        (f"{API}change_type_changes_it_at_once", f"{API}internal_types_are_changed_neither_to_nor_from"),
    ),
    # --- references ---
    "2.9/1": Rule(
        "file",
        (
            "case 2.9 references",
            f"{ARTIFACT}reference_to_a_file_is_copied",
            f"{ARTIFACT}reference_to_what_changed_is_refused",
            f"{ARTIFACT}reference_to_what_is_gone_is_refused",
            f"{ARTIFACT}reference_without_checksum_makes_no_version_when_the_file_changes",
        ),
        "a file that moved is another version; one known by its URI alone is so too when its size changes",
    ),
    "2.9/2": Rule("folder", ("case 2.9 references",)),
    "2.9/3": Rule(
        "http(s)",
        (
            f"{ARTIFACT}reference_to_a_page_is_known_by_its_etag",
            f"{ARTIFACT}reference_to_a_page_that_changed_is_refused",
        ),
    ),
    "2.9/4": Rule(
        "s3", ("case 2.9 references",), "known by its URI alone: buckets are not listed and nothing is fetched"
    ),
    "2.9/5": Rule(
        "gs", ("case 2.9 references",), "known by its URI alone: buckets are not listed and nothing is fetched"
    ),
    "2.9/6": Rule(
        "Azure",
        ("test_references.py::test_add_reference_of_http_with_an_etag_is_known_by_it",),
        "an https address like any other",
    ),
    "2.9/7": Rule(
        "entry of an artifact",
        (
            f"{ARTIFACT}reference_to_an_entry_is_resolved_from_its_artifact",
            f"{ARTIFACT}reference_to_an_entry_of_another_project",
        ),
        "the bytes are shared or copied, so that the artifact outlives the one it took them from",
    ),
    "2.9/8": Rule("another scheme", ("case 2.9 references", f"{ARTIFACT}reference_that_nothing_reads_gives_its_uri")),
    "2.9/9": Rule(
        "what is missing where it is allowed", (f"{ARTIFACT}reference_to_what_is_gone_is_passed_over_when_allowed",)
    ),
    # --- runs ---
    "2.10/1": Rule(
        "init",
        (
            "case 2.10 init",
            f"{RUN}init_keeps_what_it_is_told",
            f"{RUN}init_again_returns_the_active_run",
            f"{RUN}init_finishes_the_previous_when_told",
            f"{RUN}init_creates_a_run_beside_the_active_one",
            f"{RUN}resume_never_refuses_a_known_id",
            f"{RUN}resume_must_refuses_an_unknown_id",
            f"{RUN}resume_goes_on",
            f"{RUN}resume_auto_goes_on_with_the_run_that_broke_off",
            f"{RUN}init_modes_all_keep_the_run",
            f"{RUN}init_disabled_leaves_nothing_behind",
            f"{RUN}init_refuses_to_rewind",
        ),
        "all modes but disabled do the same; fork_from and resume_from are refused, and a known id without resume",
    ),
    "2.10/2": Rule(
        "how a run ends, and what it then refuses",
        (
            "case 2.10 after finish",
            "case 2.10 before init",
            f"{RUN}context_that_an_exception_ends",
            f"{RUN}script_that_ends",
            f"{RUN}finish_with_an_exit_code",
        ),
    ),
    "2.10/3": Rule(
        "log_artifact",
        (
            "case 2.10 log_artifact",
            f"{RUN}log_artifact_of_a_file",
            f"{RUN}log_artifact_of_a_folder",
            f"{RUN}log_artifact_of_a_uri",
            f"{RUN}log_artifact_unites_latest_with_the_aliases",
            f"{RUN}log_artifact_of_another_type_is_refused",
            f"{ARTIFACT}same_object_logged_again_gives_the_same_version",
            f"{ARTIFACT}logged_one_is_not_logged_into_another_project",
        ),
        "the entity is a label and clashes with nothing; made-up names are made safe",
    ),
    "2.10/4": Rule(
        "use_artifact",
        (
            f"{RUN}use_artifact_by_name",
            f"{RUN}use_artifact_checks_the_type",
            f"{RUN}use_artifact_that_is_not_there",
            f"{RUN}use_artifact_by_digest_is_refused",
            f"{RUN}use_artifact_of_a_draft_logs_it_without_a_producer",
            f"{RUN}use_artifact_of_a_logged_object",
            f"{RUN}use_artifact_again_changes_nothing",
        ),
        "works in every mode: there is no offline; what would close a cycle is refused",
    ),
    "2.10/5": Rule(
        "upsert_artifact and finish_artifact",
        (f"{RUN}distributed_artifact_needs_a_group_or_id", f"{RUN}distributed_artifact_of_two_processes"),
    ),
    "2.10/6": Rule(
        "log_model, use_model, link_model",
        (
            "case 2.10 link_model",
            "case 2.10 log_model",
            f"{RUN}log_model_and_use_model",
            f"{RUN}use_model_of_no_model_is_refused",
            f"{RUN}link_model_puts_it_into_the_registry",
        ),
    ),
    "2.10/7": Rule("attributes", ("case 2.10 attributes",), "url is that of the project file"),
    # --- config and summary ---
    "2.11/1": Rule(
        "config", ("case 2.11 config", f"{CONFIG}config_is_kept", f"{CONFIG}config_in_a_notebook_may_change")
    ),
    "2.11/2": Rule(
        "artifacts in config",
        (
            f"{CONFIG}artifact_in_config_is_used",
            f"{CONFIG}artifact_in_config_is_kept_as_a_small_dict",
            f"{CONFIG}artifact_deeper_in_config_is_refused",
        ),
    ),
    "2.11/3": Rule(
        "summary",
        ("case 2.11 summary", f"{CONFIG}summary_is_kept", f"{CONFIG}summary_of_a_large_array_is_its_statistics"),
    ),
    # --- Api ---
    "2.12/1": Rule(
        "what Api finds and lists",
        (
            f"{API}artifact_is_found_by_each_form_of_its_path",
            f"{API}artifacts_with_tags_have_all_of_them",
            f"{API}types_and_collections_are_listed",
            f"{API}projects_are_the_files_of_the_folder",
        ),
    ),
    "2.12/2": Rule(
        "filters and orders of runs", (f"{API}runs_pass_the_filters_of_wandb", f"{API}runs_come_in_the_order_of_wandb")
    ),
    "2.12/3": Rule(
        "a public run",
        (
            f"{API}run_lists_what_it_logged_and_used",
            f"{API}used_artifacts_keep_their_own_project",
            f"{API}run_takes_only_artifacts_that_are_there",
            f"{API}run_update_keeps_what_was_changed",
        ),
    ),
    "2.12/4": Rule(
        "what is not found",
        (
            f"{API}run_that_is_not_there_is_a_comm_error",
            f"{API}artifact_that_is_not_there_is_a_comm_error",
            f"{API}a_project_that_is_not_there_is_a_comm_error_for_each_question",
        ),
    ),
    "2.12/5": Rule(
        "lineage of one hop",
        (f"{ARTIFACT}logged_by_and_used_by_name_the_runs",),
        "lineage.open answers questions of any depth",
    ),
    # --- edge cases ---
    "2.13/1": Rule("same content, newest version", (f"{ARTIFACT}same_content_gives_the_same_version",)),
    "2.13/2": Rule("same content, older version", (f"{ARTIFACT}older_content_gives_its_version_and_latest",)),
    "2.13/3": Rule("same content, another name", (f"{ARTIFACT}same_content_under_another_name_is_another_artifact",)),
    "2.13/4": Rule(
        "same content, other metadata",
        (f"{ARTIFACT}same_content_gives_the_same_version", f"{RUN}log_artifact_again_from_another_run_reproduces"),
    ),
    "2.13/5": Rule(
        "same content, another project",
        (f"{RUN}init_of_several_projects_in_one_program",),
        "blobs are shared within a project",
    ),
    "2.13/6": Rule(
        "an alias that is taken", (f"{RUN}log_artifact_moves_an_alias", f"{ARTIFACT}alias_of_another_version_moves")
    ),
    "2.13/7": Rule("an alias like v3", ("case 2.1 alias",), "refused: it could never be reached"),
    "2.13/8": Rule("deleting a version with aliases", (f"{ARTIFACT}delete_asks_for_the_aliases",)),
    "2.13/9": Rule("deleting the newest version", (f"{ARTIFACT}deleted_latest_falls_back",)),
    "2.13/10": Rule("deleting what others used", ("test_deletion.py::test_delete_version_keeps_node_and_edges",)),
    "2.13/11": Rule("deleting a run", (f"{API}run_delete_keeps_its_place_in_the_lineage",)),
    "2.13/12": Rule("using what was not logged", (f"{RUN}use_artifact_of_a_draft_logs_it_without_a_producer",)),
    "2.13/13": Rule(
        "another type of the same name",
        (f"{RUN}log_artifact_of_another_type_is_refused", f"{ARTIFACT}type_of_a_name_is_its_first"),
    ),
    "2.13/14": Rule(
        "runs that log a name at once",
        (
            "test_two_writers.py::test_log_by_eight_processes_takes_turns",
            f"{RUN}artifacts_logged_from_threads_are_all_there",
        ),
    ),
    "2.13/15": Rule("logging in a finished run", ("case 2.10 after finish",)),
    "2.13/16": Rule(
        "links in a folder",
        ("case 2.3 add_dir", "case 2.13 links"),
        "a broken link or a loop is a ValueError that names it",
    ),
    "2.13/17": Rule("empty folders, modes, times", ("case 2.3 add_dir", "case 2.4 digest")),
    "2.13/18": Rule(
        "a file that changes while it is added", ("test_blobs.py::test_stage_file_that_keeps_changing_is_refused",)
    ),
    "2.13/19": Rule("huge manifests", ("test_manifest_properties.py::test_parts_of_versions_are_stored_once",)),
    # --- folders ---
    "2.14/1": Rule("a cache", differs="not applicable: the project's blobs are local, so there is nothing to cache"),
    "2.14/2": Rule("cleaning the cache", differs="not applicable: lineage gc frees what no version names"),
    "2.14/3": Rule("staging", ("test_artifact.py::test_staging_is_empty_after_the_log", "case 2.15 errors")),
    "2.14/4": Rule(
        "a cache of checksums", differs="not applicable: content is hashed as it is copied, never trusted by its time"
    ),
    "2.14/5": Rule(
        "WANDB_ARTIFACT_DIR",
        (f"{ARTIFACT}download_goes_where_the_environment_says",),
        "WANDB_CACHE_DIR and WANDB_DATA_DIR mean nothing: there is no cache, and staging lies beside the project",
    ),
    "2.14/6": Rule("a command line for artifacts", differs="not applicable: lineage has a command line of its own"),
    # --- errors ---
    "2.15/1": Rule("classes of errors", ("case 2.15 errors",)),
    "2.15/2": Rule(
        "dotted paths",
        ("case 2.15 errors", "test_wandb_install.py::test_install_covers_the_paths_that_programs_import"),
    ),
}
ROWS: Final = {
    "2.1": 13, "2.2": 5, "2.3": 8, "2.4": 4, "2.5": 5, "2.6": 9, "2.7": 10, "2.8": 8, "2.9": 9, "2.10": 7, "2.11": 3,
    "2.12": 5, "2.13": 19, "2.14": 6, "2.15": 2,
}  # fmt: skip
"""How many rules each part has."""
