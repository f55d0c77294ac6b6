-- One row for each claim on a slot: the queue of a key is its rows by `place`. Those that are granted
-- come before those that wait, always: a claim is granted only as the first of those that wait.
CREATE TABLE slots (
    tenant    TEXT    NOT NULL,
    key       TEXT    NOT NULL,
    place     INTEGER NOT NULL,
    execution INTEGER NOT NULL,
    owner     TEXT    NOT NULL,
    capacity  INTEGER NOT NULL,
    granted   INTEGER NOT NULL,
    since     INTEGER NOT NULL,
    PRIMARY KEY (tenant, key, place)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX slots_owner ON slots (execution, key, owner);
CREATE INDEX slots_held ON slots (execution) WHERE granted = 1;
CREATE INDEX slots_waiting ON slots (tenant, key, place) WHERE granted = 0;

-- Whether the execution has rows in `slots`: 0 none, 1 only such that wait, 2 also granted ones. So
-- an execution without slots is never looked up there, and the sweep finds the expired ones.
ALTER TABLE executions ADD COLUMN slots INTEGER NOT NULL DEFAULT 0;
CREATE INDEX executions_slots ON executions (lease_until) WHERE slots = 2;
