-- What an execution is found by, as a JSON object; NULL is nothing.
ALTER TABLE executions ADD COLUMN labels TEXT;

-- The same, one row for each label, with what listings go by. A trigger takes them away with their
-- execution, so that a build which does not know them leaves none behind.
CREATE TABLE labels (
    execution  INTEGER NOT NULL,
    key        TEXT    NOT NULL,
    value      TEXT    NOT NULL,
    tenant     TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (execution, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX labels_value ON labels (tenant, key, value, created_at);
CREATE TRIGGER labels_go AFTER DELETE ON executions WHEN old.labels IS NOT NULL BEGIN
    DELETE FROM labels WHERE execution = old.n;
END;
