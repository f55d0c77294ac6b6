-- What waits at a trigger: an entry of a journal that was announced (`topic`, `execution`, `seq`), or what
-- a source brought (`brought`, as JSON).
CREATE TABLE arrivals_of_all (
    tenant    TEXT    NOT NULL,
    workflow  TEXT    NOT NULL,
    id        TEXT    NOT NULL,
    n         INTEGER NOT NULL,
    at        INTEGER NOT NULL,
    topic     TEXT,
    execution BLOB,
    seq       INTEGER,
    brought   TEXT,
    PRIMARY KEY (tenant, workflow, id, n),
    CHECK (iif(brought IS NULL, topic IS NOT NULL AND execution IS NOT NULL AND seq IS NOT NULL, topic IS NULL))
) STRICT, WITHOUT ROWID;
INSERT INTO arrivals_of_all (tenant, workflow, id, n, at, topic, execution, seq)
    SELECT tenant, workflow, id, n, at, topic, execution, seq FROM arrivals;
DROP TABLE arrivals;
ALTER TABLE arrivals_of_all RENAME TO arrivals;

-- Where the source of a trigger stands, as JSON.
CREATE TABLE cursors (
    tenant   TEXT NOT NULL,
    workflow TEXT NOT NULL,
    id       TEXT NOT NULL,
    cursor   TEXT NOT NULL,
    PRIMARY KEY (tenant, workflow, id)
) STRICT, WITHOUT ROWID;
