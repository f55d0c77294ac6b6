-- One row for each person (`kind` 1) and service account (2). Times are milliseconds since 1970.
CREATE TABLE principals (
    tenant   text     COLLATE "C" NOT NULL,
    id       uuid     NOT NULL,
    version  bigint   NOT NULL,
    kind     smallint NOT NULL,
    login    text     COLLATE "C" NOT NULL,
    name     text     NOT NULL,
    password text,
    subject  text,
    disabled boolean  NOT NULL,
    put_at   bigint   NOT NULL,
    PRIMARY KEY (tenant, id)
);
CREATE UNIQUE INDEX principals_login ON principals (tenant, login);
CREATE UNIQUE INDEX principals_subject ON principals (tenant, subject) WHERE subject IS NOT NULL;

CREATE TABLE projects (
    tenant  text   COLLATE "C" NOT NULL,
    id      text   COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    name    text   NOT NULL,
    PRIMARY KEY (tenant, id)
);

-- Who is what where; an empty project is all of them.
CREATE TABLE memberships (
    tenant    text COLLATE "C" NOT NULL,
    principal uuid NOT NULL,
    project   text COLLATE "C" NOT NULL,
    role      text NOT NULL,
    PRIMARY KEY (tenant, principal, project)
);
CREATE INDEX memberships_project ON memberships (tenant, project, principal);

-- Of the secret part of a key its SHA-256 alone; `scopes` is a JSON list.
CREATE TABLE api_keys (
    tenant     text   COLLATE "C" NOT NULL,
    prefix     text   COLLATE "C" NOT NULL,
    principal  uuid   NOT NULL,
    name       text   NOT NULL,
    hash       bytea  NOT NULL,
    project    text   COLLATE "C",
    scopes     text,
    expires_at bigint,
    added_at   bigint NOT NULL,
    used_at    bigint,
    PRIMARY KEY (tenant, prefix)
);
CREATE INDEX api_keys_principal ON api_keys (tenant, principal, prefix);
CREATE INDEX api_keys_project ON api_keys (tenant, project) WHERE project IS NOT NULL;

-- Sessions of browsers (`kind` 1) and programs (2). `first_token` is the one that it was opened with,
-- `over_at` when it ends without a further use.
CREATE TABLE sessions (
    tenant      text     COLLATE "C" NOT NULL,
    id          uuid     NOT NULL,
    principal   uuid     NOT NULL,
    kind        smallint NOT NULL,
    first_token bytea    NOT NULL,
    token       bytea    NOT NULL,
    origin      text     NOT NULL,
    agent       text     NOT NULL,
    idle        bigint   NOT NULL,
    lasts       bigint   NOT NULL,
    opened_at   bigint   NOT NULL,
    used_at     bigint   NOT NULL,
    over_at     bigint   NOT NULL,
    PRIMARY KEY (tenant, id)
);
CREATE UNIQUE INDEX sessions_token ON sessions (tenant, token);
CREATE INDEX sessions_principal ON sessions (tenant, principal);
CREATE INDEX sessions_over ON sessions (tenant, over_at);

-- Tokens that were exchanged for the next one.
CREATE TABLE spent_tokens (
    tenant  text   COLLATE "C" NOT NULL,
    token   bytea  NOT NULL,
    session uuid   NOT NULL,
    place   bigint NOT NULL,
    PRIMARY KEY (tenant, token)
);
CREATE UNIQUE INDEX spent_tokens_session ON spent_tokens (tenant, session, place);

-- Tokens for one use, by their hashes.
CREATE TABLE once_tokens (
    tenant  text   COLLATE "C" NOT NULL,
    token   bytea  NOT NULL,
    purpose text   NOT NULL,
    content text   NOT NULL,
    until   bigint NOT NULL,
    PRIMARY KEY (tenant, token)
);
CREATE INDEX once_tokens_until ON once_tokens (tenant, until);
CREATE INDEX once_tokens_purpose ON once_tokens (tenant, purpose);

-- Who tried how often to get in.
CREATE TABLE attempts (
    tenant text   COLLATE "C" NOT NULL,
    key    bytea  NOT NULL,
    tries  bigint NOT NULL,
    last   bigint NOT NULL,
    until  bigint NOT NULL,
    PRIMARY KEY (tenant, key)
);
CREATE INDEX attempts_least ON attempts (tenant, tries, last, key);
