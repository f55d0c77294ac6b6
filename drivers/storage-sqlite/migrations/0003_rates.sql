-- One row for each bucket that is not full: when it is, in microseconds.
CREATE TABLE rates (
    tenant  TEXT    NOT NULL,
    key     TEXT    NOT NULL,
    full_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX rates_full ON rates (full_at);

-- When the rate of an execution lets it begin, where that was after its creation.
ALTER TABLE executions ADD COLUMN begins_at INTEGER;
