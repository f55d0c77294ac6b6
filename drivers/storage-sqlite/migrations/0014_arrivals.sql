-- What triggers listen to: a topic, from all workflows (an empty source) or from one.
CREATE TABLE subscriptions (
    tenant   TEXT NOT NULL,
    topic    TEXT NOT NULL,
    source   TEXT NOT NULL,
    workflow TEXT NOT NULL,
    id       TEXT NOT NULL,
    PRIMARY KEY (tenant, topic, source, workflow, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX subscriptions_of ON subscriptions (tenant, workflow, id);

-- What was announced to a trigger that has started nothing for it yet: entry `seq` of an execution's
-- journal. `n` grows, and `at` is in milliseconds. A row goes with the start that it leads to.
CREATE TABLE arrivals (
    tenant    TEXT    NOT NULL,
    workflow  TEXT    NOT NULL,
    id        TEXT    NOT NULL,
    n         INTEGER NOT NULL,
    at        INTEGER NOT NULL,
    topic     TEXT    NOT NULL,
    execution BLOB    NOT NULL,
    seq       INTEGER NOT NULL,
    PRIMARY KEY (tenant, workflow, id, n)
) STRICT, WITHOUT ROWID;
