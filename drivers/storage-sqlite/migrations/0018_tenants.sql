-- What an operator has settled about each tenant; what is null is not bounded.
CREATE TABLE tenants (
    tenant            TEXT    PRIMARY KEY,
    version           INTEGER NOT NULL,
    name              TEXT    NOT NULL,
    disabled          INTEGER NOT NULL,
    executions        INTEGER,
    bytes             INTEGER,
    starts_per_second INTEGER,
    weight            INTEGER NOT NULL DEFAULT 1
) STRICT, WITHOUT ROWID;
