-- The triggers of published versions, and where each stands. `through` and `due` are in milliseconds;
-- `revision` grows with every change, and never comes again. A build that does not know them publishes
-- versions without any: what is registered then belongs to another version, and is not due.
CREATE TABLE triggers (
    tenant     TEXT    NOT NULL,
    workflow   TEXT    NOT NULL,
    id         TEXT    NOT NULL,
    version    INTEGER NOT NULL,
    kind       TEXT    NOT NULL,
    definition TEXT    NOT NULL,
    pace       BLOB    NOT NULL,
    revision   INTEGER NOT NULL,
    paused     INTEGER NOT NULL,
    through    INTEGER NOT NULL,
    due        INTEGER,
    last       BLOB,
    hook       TEXT,
    sum        INTEGER NOT NULL,
    PRIMARY KEY (tenant, workflow, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX triggers_due ON triggers (due) WHERE due IS NOT NULL AND paused = 0;
CREATE INDEX triggers_hook ON triggers (hook) WHERE hook IS NOT NULL;
