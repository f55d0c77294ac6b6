-- Who does what only one process at a time does. `until` is in milliseconds; `term` grows with every
-- election and never comes again, so a row stays when nobody leads. A build that does not know them does
-- no such duty, or does it beside others, as before.
CREATE TABLE duties (
    name   TEXT    NOT NULL,
    term   INTEGER NOT NULL,
    leader BLOB,
    until  INTEGER NOT NULL,
    PRIMARY KEY (name)
) STRICT, WITHOUT ROWID;
