//! Every metric that there is. `docs/metrics.md` explains them, and a test holds it to this table.

/// What a metric counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only rises, from 0 with the process.
    Counter,
    /// Rises and falls.
    Gauge,
    /// How many values were at most so large.
    Histogram,
}

impl Kind {
    /// As the exposition format has it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// One metric.
#[derive(Debug, PartialEq, Eq)]
pub struct Metric {
    /// Its name, with its unit and, for a counter, `_total`.
    pub name: &'static str,
    /// What it counts.
    pub kind: Kind,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// What it says, in one sentence.
    pub help: &'static str,
}

/// Declares the metrics: name in code, kind, name, labels, help.
macro_rules! metrics {
    ($($name:ident = $kind:ident $text:literal [$($label:literal),*] $help:literal;)+) => {
        $(
            #[doc = $help]
            pub const $name: &Metric = &Metric {
                name: $text,
                kind: Kind::$kind,
                labels: &[$($label),*],
                help: $help,
            };
        )+

        /// All of them, in the order in which they are shown.
        pub const ALL: &[&Metric] = &[$($name),+];
    };
}

metrics! {
    EXECUTIONS_STARTED = Counter "nebula_executions_started_total" ["workflow"]
        "Executions that this process created.";
    EXECUTIONS_ENDED = Counter "nebula_executions_ended_total" ["workflow", "status"]
        "Executions that this process brought to their end.";
    EXECUTION_DURATION = Histogram "nebula_execution_duration_seconds" []
        "The time from the creation of an execution to its end, with all its waits.";
    EXECUTIONS_PARKED = Counter "nebula_executions_parked_total" []
        "How often an execution was parked: a person must decide.";
    START_DELAY = Histogram "nebula_start_delay_seconds" []
        "The time from the creation of an execution until a worker had it in its hands for the first time.";
    EXECUTIONS_OPEN = Gauge "nebula_executions_open" ["status"]
        "Executions in the store that have not ended.";
    EXECUTIONS_IN_HAND = Gauge "nebula_executions_in_hand" []
        "Executions that this process drives now, each under a lease.";
    EXECUTIONS_MEMORY = Gauge "nebula_executions_memory_bytes" []
        "About how much memory the executions take that this process drives now.";
    QUEUE_DEPTH = Gauge "nebula_queue_depth" []
        "Executions that are due and that nobody has.";
    QUEUE_OLDEST = Gauge "nebula_queue_oldest_seconds" []
        "For how long the longest of them has been due.";
    QUEUE_DEPTH_OF_GROUP = Gauge "nebula_queue_depth_of_group" ["group"]
        "Executions that are due and that nobody has, by the group of workers that they are for.";
    LEASES_GRANTED = Counter "nebula_leases_granted_total" []
        "Leases that this process was granted.";
    LEASES_LOST = Counter "nebula_leases_lost_total" []
        "Executions that left the hands of this process because their lease was, or may be, another's.";
    STEP_DURATION = Histogram "nebula_step_duration_seconds" []
        "The time that a step took to be durable, with its retries.";
    STEP_RETRIES = Counter "nebula_step_retries_total" []
        "Steps that the store failed to write, and that were tried again.";
    ENTRIES = Counter "nebula_journal_entries_total" []
        "Journal entries that this process wrote.";
    ATTEMPTS = Counter "nebula_attempts_total" ["outcome"]
        "Attempts that ended, items of lists included.";
    ATTEMPT_DURATION = Histogram "nebula_attempt_duration_seconds" []
        "The time that an attempt took that succeeded.";
    RETRIES = Counter "nebula_retries_total" []
        "Attempts that failed and are made again.";
    FAILURES = Counter "nebula_failures_total" ["class"]
        "Attempts that failed, by the class of their error.";
    COMMITS = Counter "nebula_commits_total" []
        "Commits of the database that wrote something.";
    COMMIT_DURATION = Histogram "nebula_commit_duration_seconds" []
        "The time that a transaction of the database took, from its first write until it was durable.";
    COMMIT_BATCH = Histogram "nebula_commit_batch_writes" []
        "How many writes shared a commit.";
    WAL_BYTES = Gauge "nebula_wal_bytes" []
        "The size of the database's write-ahead log.";
    DATABASE_BYTES = Gauge "nebula_database_bytes" []
        "The size of the database's file.";
    BLOB_BYTES_WRITTEN = Counter "nebula_blob_written_bytes_total" []
        "Bytes that were put into blobs, those that were there already included.";
    BLOB_BYTES_READ = Counter "nebula_blob_read_bytes_total" []
        "Bytes that were read from blobs.";
    CACHE_HITS = Counter "nebula_value_cache_hits_total" []
        "Large values that were in memory when they were asked for.";
    CACHE_MISSES = Counter "nebula_value_cache_misses_total" []
        "Large values that had to be read from a blob.";
    CACHE_BYTES = Gauge "nebula_value_cache_bytes" []
        "About how much memory the large values take that are kept.";
    TRIGGER_STARTS = Counter "nebula_trigger_starts_total" []
        "Occurrences of schedules that started an execution.";
    TRIGGER_LEFT_OUT = Counter "nebula_trigger_left_out_total" []
        "Decisions by which occurrences of a schedule start nothing: missed, overlapping or broken.";
    TRIGGER_LAG = Histogram "nebula_trigger_lag_seconds" []
        "The time from an occurrence of a schedule until its execution was created.";
    WEBHOOKS = Counter "nebula_webhook_deliveries_total" ["outcome"]
        "Requests to webhooks.";
    HTTP_REQUESTS = Counter "nebula_http_requests_total" ["method", "route", "status"]
        "Requests that were answered.";
    HTTP_DURATION = Histogram "nebula_http_request_duration_seconds" []
        "The time until the head of an answer; streams and long waits included.";
    HTTP_RATE_LIMITED = Counter "nebula_http_rate_limited_total" []
        "Requests that were refused because their caller made too many.";
    BREAKERS = Gauge "nebula_breakers" ["state"]
        "Destinations of HTTP requests that are remembered, by the state of their breaker.";
    OUTGOING_WAITING = Gauge "nebula_outgoing_requests_waiting" []
        "HTTP requests of nodes that wait before the gate of their destination.";
    OUTGOING_PASSED = Counter "nebula_outgoing_requests_total" []
        "HTTP requests of nodes that passed the gate of their destination, as far as it is remembered.";
    OUTGOING_REFUSED = Counter "nebula_outgoing_requests_refused_total" []
        "HTTP requests of nodes that the gate of their destination did not let pass, as far as it is remembered.";
    LOG_LEFT_OUT = Counter "nebula_log_lines_left_out_total" ["why"]
        "Log lines that were left out.";
    OTLP_SENT = Counter "nebula_otlp_sent_total" ["signal"]
        "Spans, data points and log records that a receiver of OTLP has taken.";
    OTLP_LOST = Counter "nebula_otlp_lost_total" ["signal"]
        "Spans, data points and log records that no receiver of OTLP has taken, at least.";
    BUILD = Gauge "nebula_build_info" ["version"]
        "1, with the version of the program.";
    PROCESS_CPU = Counter "process_cpu_seconds_total" []
        "Processor time of the process, in user and system mode.";
    PROCESS_MEMORY = Gauge "process_resident_memory_bytes" []
        "Memory of the process that is in RAM.";
    PROCESS_FILES = Gauge "process_open_fds" []
        "Files, sockets and the like that the process has open.";
    PROCESS_MAX_FILES = Gauge "process_max_fds" []
        "How many of these it may have open.";
    PROCESS_THREADS = Gauge "process_threads" []
        "Threads of the process.";
    PROCESS_START = Gauge "process_start_time_seconds" []
        "When the process began, in seconds since 1970.";
}
