-- What is wrong with services. `record` is the incident as JSON; the other columns are what it is found by.
-- A build that does not know them opens none.
CREATE TABLE incidents (
    n         INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant    TEXT    NOT NULL,
    id        BLOB    NOT NULL,
    key       TEXT    NOT NULL,
    -- 1 while it is not resolved, NULL after that.
    open      INTEGER,
    opened_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    record    TEXT    NOT NULL
) STRICT;
CREATE UNIQUE INDEX incidents_id ON incidents (tenant, id);
CREATE UNIQUE INDEX incidents_open ON incidents (tenant, key) WHERE open IS NOT NULL;
CREATE INDEX incidents_newest ON incidents (tenant, opened_at, id);
CREATE INDEX incidents_over ON incidents (tenant, updated_at, id) WHERE open IS NULL;

-- The entries of their timelines, as JSON.
CREATE TABLE incident_entries (
    incident INTEGER NOT NULL,
    seq      INTEGER NOT NULL,
    entry    TEXT    NOT NULL,
    PRIMARY KEY (incident, seq)
) STRICT, WITHOUT ROWID;

-- What was done lately, so that it is done once: to which incident, or how a counter stood then.
CREATE TABLE incident_ops (
    tenant   TEXT    NOT NULL,
    number   INTEGER NOT NULL,
    key      TEXT    NOT NULL,
    incident BLOB,
    counted  INTEGER,
    PRIMARY KEY (tenant, number)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX incident_ops_key ON incident_ops (tenant, key);

-- Counters that do not stand at 0.
CREATE TABLE incident_counters (
    tenant TEXT    NOT NULL,
    name   TEXT    NOT NULL,
    value  INTEGER NOT NULL,
    PRIMARY KEY (tenant, name)
) STRICT, WITHOUT ROWID;
