-- One row for each credential that ever was: its last version, encrypted. Of a deleted one `key` and
-- `envelope` are NULL, and `version` is the number of its deletion.
CREATE TABLE credentials (
    n            INTEGER PRIMARY KEY,
    tenant       TEXT    NOT NULL,
    id           TEXT    NOT NULL,
    kind         TEXT    NOT NULL,
    version      INTEGER NOT NULL,
    key          TEXT,
    envelope     BLOB,
    put_at       INTEGER NOT NULL,
    used_at      INTEGER,
    last_use     INTEGER NOT NULL,
    lease_holder BLOB,
    lease_until  INTEGER,
    sum          INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX credentials_id ON credentials (tenant, id);
CREATE INDEX credentials_key ON credentials (tenant, key) WHERE key IS NOT NULL;

-- The master keys that credentials may be encrypted with; that with the highest place is the primary one.
CREATE TABLE credential_keys (
    tenant TEXT    NOT NULL,
    place  INTEGER NOT NULL,
    key    TEXT    NOT NULL,
    PRIMARY KEY (tenant, place)
) STRICT, WITHOUT ROWID;

-- Who was given which version when: `user` is 1 an attempt, 2 a refresh, 3 a test, 4 a change.
CREATE TABLE credential_uses (
    credential INTEGER NOT NULL,
    number     INTEGER NOT NULL,
    version    INTEGER NOT NULL,
    at         INTEGER NOT NULL,
    user       INTEGER NOT NULL,
    execution  BLOB,
    node       TEXT,
    attempt    INTEGER,
    sum        INTEGER NOT NULL,
    PRIMARY KEY (credential, number)
) STRICT, WITHOUT ROWID;
