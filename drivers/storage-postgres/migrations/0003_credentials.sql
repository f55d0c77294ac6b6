-- One row for each credential that ever was: its last version, encrypted. Of a deleted one `key` and
-- `envelope` are NULL, and `version` is the number of its deletion. Times are milliseconds since 1970.
CREATE TABLE credentials (
    n            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant       text   COLLATE "C" NOT NULL,
    id           text   COLLATE "C" NOT NULL,
    kind         text   NOT NULL,
    version      bigint NOT NULL,
    key          text,
    envelope     bytea,
    put_at       bigint NOT NULL,
    used_at      bigint,
    last_use     bigint NOT NULL,
    lease_holder uuid,
    lease_until  bigint
);
CREATE UNIQUE INDEX credentials_id ON credentials (tenant, id);
CREATE INDEX credentials_key ON credentials (tenant, key) WHERE key IS NOT NULL;

-- The master keys that credentials may be encrypted with; that with the highest place is the primary one.
CREATE TABLE credential_keys (
    tenant text   COLLATE "C" NOT NULL,
    place  bigint NOT NULL,
    key    text   NOT NULL,
    PRIMARY KEY (tenant, place)
);

-- Who was given which version when: `user` is 1 an attempt, 2 a refresh, 3 a test, 4 a change.
CREATE TABLE credential_uses (
    tenant     text     COLLATE "C" NOT NULL,
    credential bigint   NOT NULL,
    number     bigint   NOT NULL,
    version    bigint   NOT NULL,
    at         bigint   NOT NULL,
    by         smallint NOT NULL,
    execution  uuid,
    node       text,
    attempt    bigint,
    PRIMARY KEY (credential, number)
);
