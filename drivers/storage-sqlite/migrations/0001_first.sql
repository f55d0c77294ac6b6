-- Which migrations were applied; `opens_from` is the oldest schema whose build still works on this one.
CREATE TABLE schema_version (
    version    INTEGER PRIMARY KEY,
    opens_from INTEGER NOT NULL,
    applied_at INTEGER NOT NULL
) STRICT;

-- One row for each execution: everything that a step compares or moves.
-- `n` is the order of creation and the short name by which the other tables know it.
-- `ring_key` is the moment from which the sweep may ring: max(due, rung_at); NULL is never. A held
-- execution is due when its lease ends; `held_wake` is its wake-up, where that is still to come.
CREATE TABLE executions (
    n             INTEGER PRIMARY KEY,
    tenant        TEXT    NOT NULL,
    id            BLOB    NOT NULL,
    workflow      TEXT    NOT NULL,
    version       INTEGER NOT NULL,
    plan          BLOB    NOT NULL,
    created_at    INTEGER NOT NULL,
    updated_at    INTEGER NOT NULL,
    status        INTEGER NOT NULL,
    epoch         INTEGER NOT NULL,
    holder        BLOB,
    lease_until   INTEGER,
    next_seq      INTEGER NOT NULL,
    inbox_head    INTEGER NOT NULL,
    inbox_through INTEGER NOT NULL,
    wake_at       INTEGER,
    rung_at       INTEGER NOT NULL,
    ring_key      INTEGER,
    held_wake     INTEGER,
    grants        INTEGER NOT NULL,
    empties       INTEGER NOT NULL,
    dedupe        TEXT
) STRICT;
CREATE UNIQUE INDEX executions_id ON executions (tenant, id);
CREATE INDEX executions_created ON executions (tenant, created_at);
CREATE INDEX executions_workflow ON executions (tenant, workflow, created_at);
-- Status 6 is `completed`: by far the most frequent, so listings of it walk the order of creation.
CREATE INDEX executions_status ON executions (tenant, status, created_at) WHERE status <> 6;
CREATE INDEX executions_due ON executions (tenant, ring_key) WHERE ring_key IS NOT NULL;
CREATE INDEX executions_held_wake ON executions (held_wake) WHERE held_wake IS NOT NULL;
CREATE INDEX executions_ended ON executions (tenant, updated_at) WHERE status >= 6;

-- One row for each step: its entries as the bytes that the journal's own codec made.
-- A table with an integer key of its own, because it is appended to at its end only.
CREATE TABLE journal (
    j         INTEGER PRIMARY KEY,
    execution INTEGER NOT NULL,
    first_seq INTEGER NOT NULL,
    count     INTEGER NOT NULL,
    epoch     INTEGER NOT NULL,
    step      BLOB,
    entries   BLOB    NOT NULL
) STRICT;
CREATE UNIQUE INDEX journal_place ON journal (execution, first_seq);

-- Steps without entries, so that their repetition is recognised too.
CREATE TABLE empty_steps (
    execution INTEGER NOT NULL,
    seq       INTEGER NOT NULL,
    step      BLOB    NOT NULL,
    PRIMARY KEY (execution, seq, step)
) STRICT, WITHOUT ROWID;

CREATE TABLE snapshots (
    execution INTEGER PRIMARY KEY,
    through   INTEGER NOT NULL,
    state     BLOB    NOT NULL
) STRICT;

CREATE TABLE inbox (
    execution INTEGER NOT NULL,
    seq       INTEGER NOT NULL,
    at        INTEGER NOT NULL,
    kind      TEXT    NOT NULL,
    payload   TEXT    NOT NULL,
    dedupe    TEXT    NOT NULL,
    PRIMARY KEY (execution, seq)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX inbox_dedupe ON inbox (execution, dedupe);

CREATE TABLE waits (
    tenant    TEXT    NOT NULL,
    token     BLOB    NOT NULL,
    execution INTEGER NOT NULL,
    PRIMARY KEY (tenant, token)
) STRICT, WITHOUT ROWID;
CREATE INDEX waits_execution ON waits (execution);

-- What began an execution, remembered longer than the execution itself.
CREATE TABLE dedupe (
    tenant     TEXT NOT NULL,
    key        TEXT NOT NULL,
    id         BLOB NOT NULL,
    input      BLOB NOT NULL,
    expires_at INTEGER,
    PRIMARY KEY (tenant, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX dedupe_expires ON dedupe (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE workflows (
    tenant    TEXT    NOT NULL,
    id        TEXT    NOT NULL,
    name      TEXT    NOT NULL,
    latest    INTEGER NOT NULL,
    published INTEGER,
    revision  INTEGER NOT NULL,
    archived  INTEGER NOT NULL,
    PRIMARY KEY (tenant, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE workflow_versions (
    tenant     TEXT    NOT NULL,
    id         TEXT    NOT NULL,
    version    INTEGER NOT NULL,
    digest     BLOB    NOT NULL,
    definition TEXT    NOT NULL,
    saved_at   INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX workflow_versions_number ON workflow_versions (tenant, id, version);
CREATE UNIQUE INDEX workflow_versions_digest ON workflow_versions (tenant, id, digest);

CREATE TABLE plans (
    tenant TEXT NOT NULL,
    digest BLOB NOT NULL,
    plan   BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX plans_digest ON plans (tenant, digest);
