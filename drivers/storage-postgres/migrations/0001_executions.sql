-- What tells this store from every other one.
CREATE TABLE store (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    id  uuid    NOT NULL DEFAULT gen_random_uuid()
);
INSERT INTO store DEFAULT VALUES;

-- One row for each execution: everything that a step compares or moves.
-- `n` is the short name by which the other tables know it; numbers are given out in blocks, so they tell nothing
-- of the order. `ring_key` is the moment from which the sweep may ring: max(due, rung_at); NULL is never. A held
-- execution is due when its lease ends; `held_wake` is its wake-up, where that is still to come. Times are
-- milliseconds since 1970. `xid` is the transaction that created it, for whoever follows what changes.
-- An execution that ends with its first step has its whole journal in its row.
CREATE SEQUENCE execution_numbers INCREMENT BY 1000;
CREATE TABLE executions (
    n             bigint   PRIMARY KEY,
    tenant        text     NOT NULL,
    id            uuid     NOT NULL,
    workflow      text     NOT NULL,
    version       integer  NOT NULL,
    priority      smallint NOT NULL,
    plan          bytea    NOT NULL,
    created_at    bigint   NOT NULL,
    updated_at    bigint   NOT NULL,
    status        smallint NOT NULL,
    epoch         bigint   NOT NULL,
    holder        uuid,
    lease_until   bigint,
    next_seq      bigint   NOT NULL,
    inbox_head    bigint   NOT NULL,
    inbox_through bigint   NOT NULL,
    wake_at       bigint,
    begins_at     bigint,
    rung_at       bigint   NOT NULL,
    ring_key      bigint,
    held_wake     bigint,
    grants        integer  NOT NULL,
    empties       bigint   NOT NULL,
    -- Whether it has rows in `slots`: 0 none, 1 only such that wait, 2 also granted ones.
    slots         smallint NOT NULL,
    -- Whether it has a row in `snapshots`, and whether it may have some in `waits`.
    has_snapshot  boolean  NOT NULL,
    has_waits     boolean  NOT NULL,
    dedupe        text,
    labels        text,
    whole         bytea,
    whole_step    uuid,
    xid           bigint   NOT NULL DEFAULT (pg_current_xact_id()::text::bigint)
) WITH (fillfactor = 85);
CREATE UNIQUE INDEX executions_id ON executions (tenant, id);
CREATE INDEX executions_created ON executions (tenant, created_at, id);
CREATE INDEX executions_workflow ON executions (tenant, workflow, created_at, id);
-- Status 6 is `completed`: by far the most frequent, so listings of it walk the order of creation.
CREATE INDEX executions_status ON executions (tenant, status, created_at, id) WHERE status <> 6;
-- What is due, in lines of one tenant, priority and workflow each: so the sweep reads the heads of all lines,
-- however long one is.
CREATE INDEX executions_due ON executions (tenant, priority, workflow, ring_key, rung_at)
    WHERE ring_key IS NOT NULL;
CREATE INDEX executions_held_wake ON executions (held_wake) WHERE held_wake IS NOT NULL;
CREATE INDEX executions_ended ON executions (tenant, updated_at, id) WHERE status >= 6;
CREATE INDEX executions_slots ON executions (lease_until) WHERE slots = 2;
CREATE INDEX executions_xid ON executions (xid, n);

-- One row for each label of an execution, with what listings go by.
CREATE TABLE labels (
    execution  bigint NOT NULL,
    key        text   NOT NULL,
    value      text   NOT NULL,
    tenant     text   NOT NULL,
    created_at bigint NOT NULL,
    id         uuid   NOT NULL,
    PRIMARY KEY (execution, key)
);
CREATE INDEX labels_value ON labels (tenant, key, value, created_at, id);

-- One row for each step: its entries as the bytes that the journal's own codec made.
CREATE TABLE journal (
    tenant    text    NOT NULL,
    execution bigint  NOT NULL,
    first_seq bigint  NOT NULL,
    count     bigint  NOT NULL,
    epoch     bigint  NOT NULL,
    step      uuid,
    entries   bytea   NOT NULL,
    xid       bigint  NOT NULL DEFAULT (pg_current_xact_id()::text::bigint),
    PRIMARY KEY (execution, first_seq)
);
CREATE INDEX journal_xid ON journal (xid, execution, first_seq);

-- Executions whose status a step moved without an entry, with the last transaction that did so.
CREATE TABLE status_moves (
    execution bigint PRIMARY KEY,
    tenant    text   NOT NULL,
    xid       bigint NOT NULL DEFAULT (pg_current_xact_id()::text::bigint)
);
CREATE INDEX status_moves_xid ON status_moves (xid, execution);

-- Steps without entries, so that their repetition is recognised too.
CREATE TABLE empty_steps (
    tenant    text   NOT NULL,
    execution bigint NOT NULL,
    seq       bigint NOT NULL,
    step      uuid   NOT NULL,
    PRIMARY KEY (execution, seq, step)
);

CREATE TABLE snapshots (
    tenant    text   NOT NULL,
    execution bigint PRIMARY KEY,
    through   bigint NOT NULL,
    state     bytea  NOT NULL
);

CREATE TABLE inbox (
    tenant    text   NOT NULL,
    execution bigint NOT NULL,
    seq       bigint NOT NULL,
    at        bigint NOT NULL,
    kind      text   NOT NULL,
    -- JSON text, as it was sent.
    payload   text   NOT NULL,
    dedupe    text   NOT NULL,
    PRIMARY KEY (execution, seq)
);
CREATE UNIQUE INDEX inbox_dedupe ON inbox (execution, dedupe);

CREATE TABLE waits (
    tenant    text   NOT NULL,
    token     bytea  NOT NULL,
    execution bigint NOT NULL,
    PRIMARY KEY (tenant, token)
);
CREATE INDEX waits_execution ON waits (execution);

-- What began an execution, remembered longer than the execution itself.
CREATE TABLE dedupe (
    tenant     text  NOT NULL,
    key        text  NOT NULL,
    id         uuid  NOT NULL,
    input      bytea NOT NULL,
    expires_at bigint,
    PRIMARY KEY (tenant, key)
);
CREATE INDEX dedupe_expires ON dedupe (expires_at) WHERE expires_at IS NOT NULL;

-- One row for each claim on a slot: the queue of a key is its rows by `place`. Those that are granted come
-- before those that wait, always: a claim is granted only as the first of those that wait.
CREATE TABLE slots (
    tenant    text    NOT NULL,
    key       text    NOT NULL,
    place     bigint  NOT NULL,
    execution bigint  NOT NULL,
    owner     text    NOT NULL,
    capacity  bigint  NOT NULL,
    granted   boolean NOT NULL,
    since     bigint  NOT NULL,
    PRIMARY KEY (tenant, key, place)
);
CREATE UNIQUE INDEX slots_owner ON slots (execution, key, owner);
CREATE INDEX slots_held ON slots (execution) WHERE granted;
CREATE INDEX slots_waiting ON slots (tenant, key, place) WHERE NOT granted;

-- One row for each bucket that is not full: when it is, in microseconds.
CREATE TABLE rates (
    tenant  text   NOT NULL,
    key     text   NOT NULL,
    full_at bigint NOT NULL,
    PRIMARY KEY (tenant, key)
);
CREATE INDEX rates_full ON rates (full_at);
