-- One row for each person (`kind` 1) and service account (2).
CREATE TABLE principals (
    tenant   TEXT    NOT NULL,
    id       BLOB    NOT NULL,
    version  INTEGER NOT NULL,
    kind     INTEGER NOT NULL,
    login    TEXT    NOT NULL,
    name     TEXT    NOT NULL,
    password TEXT,
    subject  TEXT,
    disabled INTEGER NOT NULL,
    put_at   INTEGER NOT NULL,
    sum      INTEGER NOT NULL,
    PRIMARY KEY (tenant, id)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX principals_login ON principals (tenant, login);
CREATE UNIQUE INDEX principals_subject ON principals (tenant, subject) WHERE subject IS NOT NULL;

CREATE TABLE projects (
    tenant  TEXT    NOT NULL,
    id      TEXT    NOT NULL,
    version INTEGER NOT NULL,
    name    TEXT    NOT NULL,
    PRIMARY KEY (tenant, id)
) STRICT, WITHOUT ROWID;

-- Who is what where; an empty project is all of them.
CREATE TABLE memberships (
    tenant    TEXT NOT NULL,
    principal BLOB NOT NULL,
    project   TEXT NOT NULL,
    role      TEXT NOT NULL,
    PRIMARY KEY (tenant, principal, project)
) STRICT, WITHOUT ROWID;
CREATE INDEX memberships_project ON memberships (tenant, project, principal);

-- Of the secret part of a key its SHA-256 alone; `scopes` is a JSON list.
CREATE TABLE api_keys (
    tenant     TEXT    NOT NULL,
    prefix     TEXT    NOT NULL,
    principal  BLOB    NOT NULL,
    name       TEXT    NOT NULL,
    hash       BLOB    NOT NULL,
    project    TEXT,
    scopes     TEXT,
    expires_at INTEGER,
    added_at   INTEGER NOT NULL,
    used_at    INTEGER,
    sum        INTEGER NOT NULL,
    PRIMARY KEY (tenant, prefix)
) STRICT, WITHOUT ROWID;
CREATE INDEX api_keys_principal ON api_keys (tenant, principal, prefix);
CREATE INDEX api_keys_project ON api_keys (tenant, project) WHERE project IS NOT NULL;

-- Sessions of browsers (`kind` 1) and programs (2). `first_token` is the one that it was opened with,
-- `over_at` when it ends without a further use.
CREATE TABLE sessions (
    tenant      TEXT    NOT NULL,
    id          BLOB    NOT NULL,
    principal   BLOB    NOT NULL,
    kind        INTEGER NOT NULL,
    first_token BLOB    NOT NULL,
    token       BLOB    NOT NULL,
    origin      TEXT    NOT NULL,
    agent       TEXT    NOT NULL,
    idle        INTEGER NOT NULL,
    lasts       INTEGER NOT NULL,
    opened_at   INTEGER NOT NULL,
    used_at     INTEGER NOT NULL,
    over_at     INTEGER NOT NULL,
    PRIMARY KEY (tenant, id)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX sessions_token ON sessions (tenant, token);
CREATE INDEX sessions_principal ON sessions (tenant, principal);
CREATE INDEX sessions_over ON sessions (tenant, over_at);

-- Tokens that were exchanged for the next one.
CREATE TABLE spent_tokens (
    tenant  TEXT    NOT NULL,
    token   BLOB    NOT NULL,
    session BLOB    NOT NULL,
    place   INTEGER NOT NULL,
    PRIMARY KEY (tenant, token)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX spent_tokens_session ON spent_tokens (tenant, session, place);

-- Tokens for one use, by their hashes.
CREATE TABLE once_tokens (
    tenant  TEXT    NOT NULL,
    token   BLOB    NOT NULL,
    purpose TEXT    NOT NULL,
    content TEXT    NOT NULL,
    until   INTEGER NOT NULL,
    PRIMARY KEY (tenant, token)
) STRICT, WITHOUT ROWID;
CREATE INDEX once_tokens_until ON once_tokens (tenant, until);
CREATE INDEX once_tokens_purpose ON once_tokens (tenant, purpose);

-- Who tried how often to get in.
CREATE TABLE attempts (
    tenant TEXT    NOT NULL,
    key    BLOB    NOT NULL,
    tries  INTEGER NOT NULL,
    last   INTEGER NOT NULL,
    until  INTEGER NOT NULL,
    PRIMARY KEY (tenant, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX attempts_least ON attempts (tenant, tries, last, key);

-- Who did what; each hash is over the one before. `outcome` is 1 allowed, 2 denied.
CREATE TABLE audit (
    tenant  TEXT    NOT NULL,
    seq     INTEGER NOT NULL,
    id      BLOB    NOT NULL,
    at      INTEGER NOT NULL,
    who     TEXT    NOT NULL,
    via     TEXT    NOT NULL,
    origin  TEXT    NOT NULL,
    what    TEXT    NOT NULL,
    target  TEXT    NOT NULL,
    outcome INTEGER NOT NULL,
    change  TEXT    NOT NULL,
    hash    BLOB    NOT NULL,
    PRIMARY KEY (tenant, seq)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX audit_id ON audit (tenant, id);
