-- Who did what; each hash is over the one before. `outcome` is 1 allowed, 2 denied.
CREATE TABLE audit (
    tenant  text     COLLATE "C" NOT NULL,
    seq     bigint   NOT NULL,
    id      uuid     NOT NULL,
    at      bigint   NOT NULL,
    who     text     NOT NULL,
    via     text     NOT NULL,
    origin  text     NOT NULL,
    what    text     NOT NULL,
    target  text     NOT NULL,
    outcome smallint NOT NULL,
    change  text     NOT NULL,
    hash    bytea    NOT NULL,
    PRIMARY KEY (tenant, seq)
);
CREATE UNIQUE INDEX audit_id ON audit (tenant, id);
-- The end of each tenant's chain. Whoever appends has it locked, so that a chain has neither a gap nor a fork.
CREATE TABLE audit_heads (
    tenant text   COLLATE "C" PRIMARY KEY,
    seq    bigint NOT NULL,
    hash   bytea  NOT NULL
) WITH (fillfactor = 50);

-- Who does what only one process at a time does. `until` is in milliseconds; `term` grows with every
-- election and never comes again, so a row stays when nobody leads.
CREATE TABLE duties (
    name   text   COLLATE "C" PRIMARY KEY,
    term   bigint NOT NULL,
    leader uuid,
    until  bigint NOT NULL
) WITH (fillfactor = 50);

-- What is wrong with services. `record` is the incident as JSON; the other columns are what it is found by.
CREATE TABLE incidents (
    n          bigint  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant     text    COLLATE "C" NOT NULL,
    id         uuid    NOT NULL,
    key        text    COLLATE "C" NOT NULL,
    -- Whether it is not resolved.
    open       boolean NOT NULL,
    opened_at  bigint  NOT NULL,
    updated_at bigint  NOT NULL,
    record     text    NOT NULL
);
CREATE UNIQUE INDEX incidents_id ON incidents (tenant, id);
CREATE UNIQUE INDEX incidents_open ON incidents (tenant, key) WHERE open;
CREATE INDEX incidents_newest ON incidents (tenant, opened_at, id);
CREATE INDEX incidents_over ON incidents (tenant, updated_at, id) WHERE NOT open;

-- The entries of their timelines, as JSON.
CREATE TABLE incident_entries (
    tenant   text   COLLATE "C" NOT NULL,
    incident bigint NOT NULL,
    seq      bigint NOT NULL,
    entry    text   NOT NULL,
    PRIMARY KEY (incident, seq)
);

-- What was done lately, so that it is done once: to which incident, or how a counter stood then.
CREATE TABLE incident_ops (
    tenant   text   COLLATE "C" NOT NULL,
    number   bigint NOT NULL,
    key      text   COLLATE "C" NOT NULL,
    incident uuid,
    counted  bigint,
    PRIMARY KEY (tenant, number)
);
CREATE UNIQUE INDEX incident_ops_key ON incident_ops (tenant, key);

-- Counters that do not stand at 0.
CREATE TABLE incident_counters (
    tenant text   COLLATE "C" NOT NULL,
    name   text   COLLATE "C" NOT NULL,
    value  bigint NOT NULL,
    PRIMARY KEY (tenant, name)
);
