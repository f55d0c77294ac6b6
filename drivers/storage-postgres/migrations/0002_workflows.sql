-- Workflows, and every version of each. Texts that rows are ordered by compare byte by byte, whatever the
-- language of the database.
CREATE TABLE workflows (
    tenant    text    COLLATE "C" NOT NULL,
    id        text    COLLATE "C" NOT NULL,
    name      text    NOT NULL,
    latest    bigint  NOT NULL,
    published bigint,
    -- Grows with every version and every publication.
    revision  bigint  NOT NULL,
    archived  boolean NOT NULL,
    project   text,
    PRIMARY KEY (tenant, id)
);

CREATE TABLE workflow_versions (
    tenant     text   COLLATE "C" NOT NULL,
    id         text   COLLATE "C" NOT NULL,
    version    bigint NOT NULL,
    digest     bytea  NOT NULL,
    -- JSON text.
    definition text   NOT NULL,
    saved_at   bigint NOT NULL,
    PRIMARY KEY (tenant, id, version)
);
CREATE UNIQUE INDEX workflow_versions_digest ON workflow_versions (tenant, id, digest);

-- Plans are named by what they are: they never change.
CREATE TABLE plans (
    tenant text  COLLATE "C" NOT NULL,
    digest bytea NOT NULL,
    plan   bytea NOT NULL,
    PRIMARY KEY (tenant, digest)
);

-- The triggers of published versions, and where each stands. Times are milliseconds since 1970; `revision` grows
-- with every change and never comes again. `arrived` is the number of the last arrival, and `waiting` how many
-- there are. Whoever decides by what waits at a trigger has its row locked.
CREATE TABLE triggers (
    tenant     text    COLLATE "C" NOT NULL,
    workflow   text    COLLATE "C" NOT NULL,
    id         text    COLLATE "C" NOT NULL,
    version    bigint  NOT NULL,
    kind       text    NOT NULL,
    -- JSON text.
    definition text    NOT NULL,
    pace       bytea   NOT NULL,
    revision   bigint  NOT NULL,
    paused     boolean NOT NULL,
    through    bigint  NOT NULL,
    due        bigint,
    last       uuid,
    hook       text,
    -- The address that a webhook had before, and until when it leads there.
    old_hook   text,
    old_until  bigint,
    -- Why the last occurrence started nothing.
    left_at    bigint,
    left_by    bigint,
    left_why   text,
    arrived    bigint  NOT NULL,
    waiting    bigint  NOT NULL,
    PRIMARY KEY (tenant, workflow, id)
) WITH (fillfactor = 85);
CREATE INDEX triggers_due ON triggers (due) WHERE due IS NOT NULL AND NOT paused;
CREATE INDEX triggers_hook ON triggers (hook) WHERE hook IS NOT NULL;
CREATE INDEX triggers_old_hook ON triggers (old_hook) WHERE old_hook IS NOT NULL;

-- What triggers listen to: a topic, from all workflows (an empty source) or from one.
CREATE TABLE subscriptions (
    tenant   text COLLATE "C" NOT NULL,
    topic    text COLLATE "C" NOT NULL,
    source   text COLLATE "C" NOT NULL,
    workflow text COLLATE "C" NOT NULL,
    id       text COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant, topic, source, workflow, id)
);
CREATE INDEX subscriptions_of ON subscriptions (tenant, workflow);

-- What waits at a trigger: an entry of a journal that was announced (`topic`, `execution`, `seq`), or what a
-- source brought (`brought`, JSON text). A row goes with the start that it leads to.
CREATE TABLE arrivals (
    tenant    text   COLLATE "C" NOT NULL,
    workflow  text   COLLATE "C" NOT NULL,
    id        text   COLLATE "C" NOT NULL,
    n         bigint NOT NULL,
    at        bigint NOT NULL,
    topic     text,
    execution uuid,
    seq       bigint,
    brought   text,
    PRIMARY KEY (tenant, workflow, id, n),
    CHECK (CASE WHEN brought IS NULL THEN topic IS NOT NULL AND execution IS NOT NULL AND seq IS NOT NULL
           ELSE topic IS NULL END)
);

-- Where the source of a trigger stands, as JSON text.
CREATE TABLE cursors (
    tenant   text COLLATE "C" NOT NULL,
    workflow text COLLATE "C" NOT NULL,
    id       text COLLATE "C" NOT NULL,
    cursor   text NOT NULL,
    PRIMARY KEY (tenant, workflow, id)
);
