-- The queue, version 1. What it changes in a later version it does under other names: processes of both
-- versions run beside each other while a fleet is brought up to date.

CREATE SCHEMA IF NOT EXISTS nebula_queue;

CREATE TABLE nebula_queue.versions (version int PRIMARY KEY);

-- Unlogged: a commit waits for no disk, a crash empties the queue, and the sweep fills it again.

CREATE UNLOGGED TABLE nebula_queue.queues (
    queue   text COLLATE "C" PRIMARY KEY,
    life    text NOT NULL,                  -- another one after a crash
    tasks   bigint NOT NULL DEFAULT 0,
    dead    bigint NOT NULL DEFAULT 0,
    serial  bigint NOT NULL DEFAULT 0,
    dropped bigint NOT NULL DEFAULT 0,
    served  text COLLATE "C" NOT NULL DEFAULT '', -- the tenant whose turn was the last
    watcher text COLLATE "C" NOT NULL DEFAULT '', -- who of those that wait watches; '' if nobody does
    watches bigint NOT NULL DEFAULT 0,            -- when it looks next
    in_row  int NOT NULL DEFAULT 0                -- how many turns `served` had one after the other
) WITH (fillfactor = 10, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

CREATE UNLOGGED TABLE nebula_queue.tasks (
    queue     text COLLATE "C" NOT NULL,
    tenant    text COLLATE "C" NOT NULL,
    execution uuid NOT NULL,
    workflow  text COLLATE "C" NOT NULL,
    priority  int NOT NULL,
    serial    bigint NOT NULL,  -- when it was rung, among all rings
    due       bigint NOT NULL,  -- microseconds
    count     int NOT NULL,
    stands    int NOT NULL,     -- 0 ready, 1 delayed, 2 in somebody's hands
    receipt   text,             -- the last delivery's, until it is answered
    again     bigint,           -- when the ring is due that came since
    reason    text,
    PRIMARY KEY (queue, tenant, execution)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000);

CREATE INDEX tasks_ready ON nebula_queue.tasks (queue, tenant, priority, workflow, due, serial) WHERE stands = 0;
CREATE INDEX tasks_later ON nebula_queue.tasks (queue, due, serial) WHERE stands > 0;

-- Who had the last turns of a tenant with tasks.
CREATE UNLOGGED TABLE nebula_queue.turns (
    queue     text COLLATE "C" NOT NULL,
    tenant    text COLLATE "C" NOT NULL,
    passed    int[] NOT NULL,   -- of each priority: how often it was passed over
    workflows text[] NOT NULL,  -- of each priority
    PRIMARY KEY (queue, tenant)
);

-- How many turns a tenant may have one after the other, where that is more than one.
CREATE UNLOGGED TABLE nebula_queue.weights (
    queue  text COLLATE "C" NOT NULL,
    tenant text COLLATE "C" NOT NULL,
    weight int NOT NULL,
    PRIMARY KEY (queue, tenant)
);

CREATE UNLOGGED TABLE nebula_queue.letters (
    queue     text COLLATE "C" NOT NULL,
    tenant    text COLLATE "C" NOT NULL,
    execution uuid NOT NULL,
    workflow  text COLLATE "C" NOT NULL,
    priority  int NOT NULL,
    serial    bigint NOT NULL,
    reason    text NOT NULL,
    PRIMARY KEY (queue, tenant, execution)
);

CREATE INDEX letters_in_order ON nebula_queue.letters (queue, serial);

-- Who waits, `process/number`. Each task that becomes ready takes one of them out, and tells it to look. One of them
-- watches: it looks at the latest after a second and when something is due, so that of the others none need know
-- the time; it is told for a task only if it is alone. What one of them was told and never came for, it finds.
CREATE UNLOGGED TABLE nebula_queue.waiters (
    queue  text COLLATE "C" NOT NULL,
    waiter text COLLATE "C" NOT NULL,
    looked bigint NOT NULL,  -- when it did last, and found nothing
    PRIMARY KEY (queue, waiter)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000);

CREATE INDEX waiters_in_order ON nebula_queue.waiters (queue, looked, waiter);

-- The queue in the hands of one call.
CREATE TYPE nebula_queue.held AS (
    queue text, life text, tasks bigint, dead bigint, serial bigint, dropped bigint, served text,
    capacity bigint, most int, moment bigint, outcome text,
    came bigint,  -- tasks that became ready in this call
    is_new boolean, watcher text, watches bigint, in_row int
);

-- When the next task is due that is not ready.
CREATE FUNCTION nebula_queue.next_due(name text) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    RETURN (
        SELECT t.due FROM nebula_queue.tasks t
        WHERE t.queue = name AND t.stands > 0 ORDER BY t.due, t.serial LIMIT 1
    );
END $$;

-- Puts a new task in its place; its deliveries are counted from 1.
CREATE FUNCTION nebula_queue.began(
    s nebula_queue.held, tenant text, execution uuid, workflow text, priority int, due bigint
) RETURNS nebula_queue.held LANGUAGE plpgsql AS $$
BEGIN
    s.serial := s.serial + 1;
    s.tasks := s.tasks + 1;
    s.came := s.came + (due <= s.moment)::int;
    INSERT INTO nebula_queue.tasks
    VALUES (s.queue, tenant, execution, workflow, priority, s.serial, due, 0, (due > s.moment)::int);
    RETURN s;
END $$;

-- Forgets the turns of a tenant that has no task any more.
CREATE FUNCTION nebula_queue.forgot(name text, whose text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM nebula_queue.tasks t WHERE t.queue = name AND t.tenant = whose) THEN
        DELETE FROM nebula_queue.turns t WHERE t.queue = name AND t.tenant = whose;
    END IF;
END $$;

-- Puts a task that was deleted among the dead, as the youngest; a ring that came meanwhile begins anew.
CREATE FUNCTION nebula_queue.buried(s nebula_queue.held, t nebula_queue.tasks, why text)
RETURNS nebula_queue.held LANGUAGE plpgsql AS $$
BEGIN
    s.tasks := s.tasks - 1;
    s.serial := s.serial + 1;
    DELETE FROM nebula_queue.letters l
    WHERE l.queue = t.queue AND l.tenant = t.tenant AND l.execution = t.execution;
    IF NOT FOUND THEN
        s.dead := s.dead + 1;
    END IF;
    INSERT INTO nebula_queue.letters
    VALUES (t.queue, t.tenant, t.execution, t.workflow, t.priority, s.serial, why);
    IF s.dead > s.capacity THEN
        DELETE FROM nebula_queue.letters l WHERE l.queue = s.queue AND l.serial = (
            SELECT o.serial FROM nebula_queue.letters o WHERE o.queue = s.queue ORDER BY o.serial LIMIT 1
        );
        s.dead := s.dead - 1;
        s.dropped := s.dropped + 1;
    END IF;
    IF t.again IS NOT NULL THEN
        s := nebula_queue.began(s, t.tenant, t.execution, t.workflow, t.priority, greatest(t.again, s.moment));
    END IF;
    PERFORM nebula_queue.forgot(t.queue, t.tenant);
    RETURN s;
END $$;

-- Takes the queue: nobody else does until this call is over. What became due is moved on, the earliest first.
CREATE FUNCTION nebula_queue.taken(name text, given bigint, capacity bigint, most int, token text)
RETURNS nebula_queue.held LANGUAGE plpgsql AS $$
DECLARE
    s nebula_queue.held;
    q nebula_queue.queues;
    t nebula_queue.tasks;
BEGIN
    -- What is written here is lost with a crash anyway.
    PERFORM set_config('synchronous_commit', 'off', true);
    SELECT * INTO q FROM nebula_queue.queues WHERE queue = name FOR UPDATE;
    IF NOT FOUND THEN
        INSERT INTO nebula_queue.queues (queue, life) VALUES (name, token) ON CONFLICT DO NOTHING;
        s.is_new := true;
        SELECT * INTO STRICT q FROM nebula_queue.queues WHERE queue = name FOR UPDATE;
    END IF;
    s.queue := q.queue; s.life := q.life; s.tasks := q.tasks; s.dead := q.dead;
    s.serial := q.serial; s.dropped := q.dropped; s.served := q.served;
    s.watcher := q.watcher; s.watches := q.watches; s.in_row := q.in_row;
    s.capacity := capacity; s.most := most; s.came := 0;
    -- Only now: who came later to the queue is later.
    s.moment := coalesce(given, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint);
    FOR t IN
        SELECT * FROM nebula_queue.tasks d
        WHERE d.queue = name AND d.stands > 0 AND d.due <= s.moment
        ORDER BY d.due, d.serial LIMIT 1000
    LOOP
        IF t.stands = 2 AND t.count >= most THEN
            DELETE FROM nebula_queue.tasks d
            WHERE d.queue = name AND d.tenant = t.tenant AND d.execution = t.execution;
            s := nebula_queue.buried(s, t, coalesce(t.reason, 'it was not answered within its visibility'));
        ELSE
            UPDATE nebula_queue.tasks d SET stands = 0
            WHERE d.queue = name AND d.tenant = t.tenant AND d.execution = t.execution;
            s.came := s.came + 1;
        END IF;
    END LOOP;
    RETURN s;
END $$;

-- How many tasks are ready, up to so many.
CREATE FUNCTION nebula_queue.ready(name text, most bigint) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    RETURN (
        SELECT count(*) FROM (
            SELECT FROM nebula_queue.tasks t WHERE t.queue = name AND t.stands = 0 LIMIT most
        ) r
    );
END $$;

-- Tells one that waits to look.
CREATE FUNCTION nebula_queue.told(whose text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('nebula_queue_' || split_part(whose, '/', 1), split_part(whose, '/', 2));
END $$;

-- One waits no more, or was told.
CREATE FUNCTION nebula_queue.left_by(s nebula_queue.held, whose text)
RETURNS nebula_queue.held LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM nebula_queue.waiters w WHERE w.queue = s.queue AND w.waiter = whose;
    IF s.watcher = whose THEN
        s.watcher := '';
    END IF;
    RETURN s;
END $$;

-- Tells so many of those who wait, those who wait longest first; each stands there again when it has looked.
CREATE FUNCTION nebula_queue.woken(s nebula_queue.held, count bigint)
RETURNS nebula_queue.held LANGUAGE plpgsql AS $$
DECLARE
    whose text;
BEGIN
    FOR whose IN
        SELECT w.waiter FROM nebula_queue.waiters w
        WHERE w.queue = s.queue AND w.waiter <> s.watcher ORDER BY w.looked, w.waiter LIMIT count
    LOOP
        count := count - 1;
        s := nebula_queue.left_by(s, whose);
        PERFORM nebula_queue.told(whose);
    END LOOP;
    IF count > 0 AND s.watcher <> '' THEN
        PERFORM nebula_queue.told(s.watcher);
        s := nebula_queue.left_by(s, s.watcher);
    END IF;
    RETURN s;
END $$;

CREATE FUNCTION nebula_queue.is_watched(s nebula_queue.held) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    RETURN s.watcher <> '' AND s.watches + 1000000 >= s.moment;
END $$;

-- When one looks that watches from now.
CREATE FUNCTION nebula_queue.next_look(s nebula_queue.held, due bigint) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    RETURN least(s.moment + 1000000, greatest(coalesce(due, s.moment + 1000000), s.moment));
END $$;

-- Gives the queue back: wakes those who wait for what became ready, and sees that one watches, and knows when
-- something is due. Answers `pause`, how long one that waits may sleep.
CREATE FUNCTION nebula_queue.given_back(s nebula_queue.held, pause bigint DEFAULT 0)
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    due bigint := nebula_queue.next_due(s.queue);
BEGIN
    IF s.came > 0 THEN
        s := nebula_queue.woken(s, nebula_queue.ready(s.queue, s.came));
    END IF;
    IF NOT nebula_queue.is_watched(s) THEN
        s.watcher := coalesce((
            SELECT w.waiter FROM nebula_queue.waiters w
            WHERE w.queue = s.queue ORDER BY w.looked, w.waiter LIMIT 1
        ), '');
        s.watches := nebula_queue.next_look(s, due);
        IF s.watcher <> '' THEN
            PERFORM nebula_queue.told(s.watcher);
        END IF;
    ELSIF due < s.watches THEN
        s.watches := nebula_queue.next_look(s, due);
        PERFORM nebula_queue.told(s.watcher);
    END IF;
    IF s.is_new THEN
        -- Whoever waits was forgotten.
        PERFORM pg_notify('nebula_queue', s.queue);
    END IF;
    UPDATE nebula_queue.queues q
    SET tasks = s.tasks, dead = s.dead, serial = s.serial, dropped = s.dropped, served = s.served,
        watcher = s.watcher, watches = s.watches, in_row = s.in_row
    WHERE q.queue = s.queue
        AND (q.tasks, q.dead, q.serial, q.dropped, q.served, q.watcher, q.watches, q.in_row)
        IS DISTINCT FROM (s.tasks, s.dead, s.serial, s.dropped, s.served, s.watcher, s.watches, s.in_row);
    RETURN pause;
END $$;

-- Rings: merged with what is there, dropped where there is no room. The outcome stands in what is held.
CREATE FUNCTION nebula_queue.rung(
    s nebula_queue.held, whose text, what uuid, flow text, urgency int, at bigint
) RETURNS nebula_queue.held LANGUAGE plpgsql AS $$
DECLARE
    t nebula_queue.tasks;
BEGIN
    SELECT * INTO t FROM nebula_queue.tasks d
    WHERE d.queue = s.queue AND d.tenant = whose AND d.execution = what;
    IF FOUND THEN
        UPDATE nebula_queue.tasks d SET
            priority = greatest(d.priority, urgency),
            again = CASE WHEN d.receipt IS NULL THEN d.again ELSE least(d.again, at) END,
            due = CASE d.stands WHEN 2 THEN d.due ELSE least(d.due, at) END,
            stands = CASE d.stands WHEN 2 THEN 2 ELSE (least(d.due, at) > s.moment)::int END
        WHERE d.queue = s.queue AND d.tenant = whose AND d.execution = what;
        s.came := s.came + (t.stands = 1 AND least(t.due, at) <= s.moment)::int;
        s.outcome := CASE WHEN t.stands = 2 AND t.again IS NULL THEN 'queued' ELSE 'merged' END;
    ELSIF s.tasks >= s.capacity THEN
        s.dropped := s.dropped + 1;
        s.outcome := 'dropped';
    ELSE
        s := nebula_queue.began(s, whose, what, flow, urgency, at);
        s.outcome := 'queued';
    END IF;
    RETURN s;
END $$;

CREATE FUNCTION nebula_queue.ring(
    name text, given bigint, capacity bigint, most int, token text,
    whose text, what uuid, flow text, urgency int, delay bigint,
    OUT life text, OUT dropped bigint, OUT pause bigint, OUT outcome text
) LANGUAGE plpgsql SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off AS $$
DECLARE
    s nebula_queue.held := nebula_queue.taken(name, given, capacity, most, token);
BEGIN
    s := nebula_queue.rung(s, whose, what, flow, urgency, s.moment + delay);
    pause := nebula_queue.given_back(s);
    life := s.life; dropped := s.dropped; outcome := s.outcome;
END $$;

-- `patience`: of each priority, how often it may be passed over; null where for ever. `waiting`: who it is
-- that waits, '' if it cannot be told; `waits_on`: whether it does so also after this; `by_itself`: whether nobody told it to look.
CREATE FUNCTION nebula_queue.receive(
    name text, given bigint, capacity bigint, most int, token text,
    wanted int, visibility bigint, patience int[], waiting text, waits_on boolean, by_itself boolean,
    OUT life text, OUT dropped bigint, OUT pause bigint,
    OUT tenants text[], OUT executions uuid[], OUT workflows text[], OUT priorities int[], OUT counts int[],
    OUT receipts text[]
) LANGUAGE plpgsql SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off AS $$
DECLARE
    s nebula_queue.held := nebula_queue.taken(name, given, capacity, most, token);
    t nebula_queue.tasks;
    whose text;
    turn nebula_queue.turns;
    waits boolean[];
    urgency int;
    flow text;
    number int := 0;
BEGIN
    WHILE number < wanted LOOP
        -- The last one again, as often as it weighs; else the next.
        SELECT d.tenant INTO whose FROM nebula_queue.tasks d
        WHERE d.queue = name AND d.stands = 0 AND d.tenant = s.served AND s.in_row < coalesce((
            SELECT w.weight FROM nebula_queue.weights w WHERE w.queue = name AND w.tenant = s.served
        ), 1) LIMIT 1;
        IF FOUND THEN
            s.in_row := s.in_row + 1;
        ELSE
            SELECT d.tenant INTO whose FROM nebula_queue.tasks d
            WHERE d.queue = name AND d.stands = 0 AND d.tenant > s.served ORDER BY d.tenant LIMIT 1;
            IF NOT FOUND THEN
                SELECT d.tenant INTO whose FROM nebula_queue.tasks d
                WHERE d.queue = name AND d.stands = 0 ORDER BY d.tenant LIMIT 1;
            END IF;
            EXIT WHEN NOT FOUND;
            s.in_row := 1;
        END IF;
        s.served := whose;
        SELECT * INTO turn FROM nebula_queue.turns d WHERE d.queue = name AND d.tenant = whose;
        IF NOT FOUND THEN
            turn.passed := '{0,0,0,0,0}'; turn.workflows := '{"","","","",""}';
        END IF;
        SELECT array_agg(EXISTS (
            SELECT FROM nebula_queue.tasks d
            WHERE d.queue = name AND d.stands = 0 AND d.tenant = whose AND d.priority = p
        ) ORDER BY p) INTO waits FROM generate_series(0, 4) p;
        -- The priority whose turn it is; it counts as taken. As `Turns::take` says.
        FOR p IN 1..5 LOOP
            IF waits[p] THEN
                urgency := p;
                EXIT WHEN turn.passed[p] >= patience[p];
            END IF;
        END LOOP;
        FOR p IN 1..5 LOOP
            IF NOT waits[p] OR p = urgency THEN
                turn.passed[p] := 0;
            ELSIF p < urgency THEN
                turn.passed[p] := turn.passed[p] + 1;
            END IF;
        END LOOP;
        SELECT d.workflow INTO flow FROM nebula_queue.tasks d
        WHERE d.queue = name AND d.stands = 0 AND d.tenant = whose AND d.priority = urgency - 1
            AND d.workflow > turn.workflows[urgency] COLLATE "C"
        ORDER BY d.workflow LIMIT 1;
        IF NOT FOUND THEN
            SELECT d.workflow INTO flow FROM nebula_queue.tasks d
            WHERE d.queue = name AND d.stands = 0 AND d.tenant = whose AND d.priority = urgency - 1
            ORDER BY d.workflow LIMIT 1;
        END IF;
        turn.workflows[urgency] := flow;
        INSERT INTO nebula_queue.turns VALUES (name, whose, turn.passed, turn.workflows)
        ON CONFLICT (queue, tenant) DO UPDATE SET passed = excluded.passed, workflows = excluded.workflows;
        SELECT * INTO t FROM nebula_queue.tasks d
        WHERE d.queue = name AND d.stands = 0 AND d.tenant = whose AND d.priority = urgency - 1
            AND d.workflow = flow
        ORDER BY d.due, d.serial LIMIT 1;
        number := number + 1;
        UPDATE nebula_queue.tasks d SET
            count = d.count + 1, due = s.moment + visibility, stands = 2, again = NULL,
            receipt = token || '.' || number
        WHERE d.queue = name AND d.tenant = whose AND d.execution = t.execution;
        tenants[number] := whose; executions[number] := t.execution; workflows[number] := flow;
        priorities[number] := t.priority; counts[number] := t.count + 1;
        receipts[number] := token || '.' || number;
    END LOOP;
    -- Those that it took need nobody else. What is left when one looks by itself, somebody did not come for.
    s.came := CASE WHEN by_itself AND number > 0 THEN nebula_queue.ready(name, 1000) ELSE s.came - number END;
    IF waiting <> '' AND number = 0 AND waits_on THEN
        DELETE FROM nebula_queue.waiters w WHERE w.queue = name AND w.looked < s.moment - 30000000;
        INSERT INTO nebula_queue.waiters VALUES (name, waiting, s.moment)
        ON CONFLICT (queue, waiter) DO UPDATE SET looked = excluded.looked;
        pause := 10000000;
        IF s.watcher = waiting OR NOT nebula_queue.is_watched(s) THEN
            s.watcher := waiting;
            s.watches := nebula_queue.next_look(s, nebula_queue.next_due(name));
            pause := s.watches - s.moment;
        END IF;
    ELSIF waiting <> '' THEN
        s := nebula_queue.left_by(s, waiting);
    ELSIF number = 0 THEN
        pause := nebula_queue.next_look(s, nebula_queue.next_due(name)) - s.moment;
    END IF;
    pause := nebula_queue.given_back(s, coalesce(pause, 0));
    life := s.life; dropped := s.dropped;
END $$;

CREATE FUNCTION nebula_queue.ack(
    name text, given bigint, capacity bigint, most int, token text,
    tokens text[], tenants text[], executions uuid[],
    OUT life text, OUT dropped bigint, OUT pause bigint, OUT outcomes boolean[]
) LANGUAGE plpgsql SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off AS $$
DECLARE
    s nebula_queue.held := nebula_queue.taken(name, given, capacity, most, token);
    t nebula_queue.tasks;
BEGIN
    FOR n IN 1..cardinality(tokens) LOOP
        DELETE FROM nebula_queue.tasks d
        WHERE d.queue = name AND d.tenant = tenants[n] AND d.execution = executions[n] AND d.receipt = tokens[n]
        RETURNING * INTO t;
        outcomes[n] := FOUND;
        IF FOUND THEN
            s.tasks := s.tasks - 1;
            IF t.again IS NOT NULL THEN
                s := nebula_queue.began(s, t.tenant, t.execution, t.workflow, t.priority, greatest(t.again, s.moment));
            END IF;
            PERFORM nebula_queue.forgot(name, t.tenant);
        END IF;
    END LOOP;
    pause := nebula_queue.given_back(s);
    life := s.life; dropped := s.dropped;
END $$;

CREATE FUNCTION nebula_queue.nack(
    name text, given bigint, capacity bigint, most int, token text,
    answers text, whose text, what uuid, delay bigint, why text,
    OUT life text, OUT dropped bigint, OUT pause bigint, OUT outcome boolean
) LANGUAGE plpgsql SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off AS $$
DECLARE
    s nebula_queue.held := nebula_queue.taken(name, given, capacity, most, token);
    t nebula_queue.tasks;
    later bigint := s.moment + delay;
BEGIN
    SELECT * INTO t FROM nebula_queue.tasks d
    WHERE d.queue = name AND d.tenant = whose AND d.execution = what AND d.receipt = answers;
    outcome := FOUND;
    IF outcome AND t.count >= most THEN
        DELETE FROM nebula_queue.tasks d WHERE d.queue = name AND d.tenant = whose AND d.execution = what;
        s := nebula_queue.buried(s, t, why);
    ELSIF outcome THEN
        later := least(greatest(t.again, CASE WHEN t.again IS NULL THEN NULL ELSE s.moment END), later);
        s.came := s.came + (later <= s.moment)::int;
        UPDATE nebula_queue.tasks d SET
            due = later, stands = (later > s.moment)::int, receipt = NULL, again = NULL, reason = why
        WHERE d.queue = name AND d.tenant = whose AND d.execution = what;
    END IF;
    pause := nebula_queue.given_back(s);
    life := s.life; dropped := s.dropped;
END $$;

CREATE FUNCTION nebula_queue.extend(
    name text, given bigint, capacity bigint, most int, token text,
    tokens text[], tenants text[], executions uuid[], by bigint,
    OUT life text, OUT dropped bigint, OUT pause bigint, OUT outcomes boolean[]
) LANGUAGE plpgsql SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off AS $$
DECLARE
    s nebula_queue.held := nebula_queue.taken(name, given, capacity, most, token);
BEGIN
    FOR n IN 1..cardinality(tokens) LOOP
        UPDATE nebula_queue.tasks d SET stands = 2, due = s.moment + by
        WHERE d.queue = name AND d.tenant = tenants[n] AND d.execution = executions[n] AND d.receipt = tokens[n];
        outcomes[n] := FOUND;
    END LOOP;
    pause := nebula_queue.given_back(s);
    life := s.life; dropped := s.dropped;
END $$;

CREATE FUNCTION nebula_queue.dead(
    name text, given bigint, capacity bigint, most int, token text,
    wanted bigint,
    OUT life text, OUT dropped bigint, OUT pause bigint,
    OUT tenants text[], OUT executions uuid[], OUT workflows text[], OUT priorities int[], OUT reasons text[]
) LANGUAGE plpgsql SET enable_seqscan = off SET enable_bitmapscan = off AS $$
DECLARE
    s nebula_queue.held := nebula_queue.taken(name, given, capacity, most, token);
BEGIN
    SELECT array_agg(l.tenant), array_agg(l.execution), array_agg(l.workflow), array_agg(l.priority),
        array_agg(l.reason)
    INTO tenants, executions, workflows, priorities, reasons
    FROM (
        SELECT * FROM nebula_queue.letters o WHERE o.queue = name ORDER BY o.serial LIMIT wanted
    ) l;
    pause := nebula_queue.given_back(s);
    life := s.life; dropped := s.dropped;
END $$;

-- Sends again what there is room for, of so many behind those that are skipped.
CREATE FUNCTION nebula_queue.redrive(
    name text, given bigint, capacity bigint, most int, token text,
    skipped bigint, wanted bigint,
    OUT life text, OUT dropped bigint, OUT pause bigint, OUT sent bigint, OUT stay bigint
) LANGUAGE plpgsql SET enable_seqscan = off SET enable_bitmapscan = off AS $$
DECLARE
    s nebula_queue.held := nebula_queue.taken(name, given, capacity, most, token);
    l nebula_queue.letters;
BEGIN
    sent := 0; stay := 0;
    FOR l IN
        SELECT * FROM nebula_queue.letters o WHERE o.queue = name ORDER BY o.serial OFFSET skipped LIMIT wanted
    LOOP
        IF s.tasks < s.capacity OR EXISTS (
            SELECT FROM nebula_queue.tasks d
            WHERE d.queue = name AND d.tenant = l.tenant AND d.execution = l.execution
        ) THEN
            DELETE FROM nebula_queue.letters o
            WHERE o.queue = name AND o.tenant = l.tenant AND o.execution = l.execution;
            s.dead := s.dead - 1;
            s := nebula_queue.rung(s, l.tenant, l.execution, l.workflow, l.priority, s.moment);
            sent := sent + 1;
        ELSE
            stay := stay + 1;
        END IF;
    END LOOP;
    pause := nebula_queue.given_back(s);
    life := s.life; dropped := s.dropped;
END $$;

CREATE FUNCTION nebula_queue.weighed(
    name text, given bigint, capacity bigint, most int, token text,
    tenants text[], weights int[],
    OUT life text, OUT dropped bigint, OUT pause bigint
) LANGUAGE plpgsql SET enable_seqscan = off SET enable_bitmapscan = off AS $$
DECLARE
    s nebula_queue.held := nebula_queue.taken(name, given, capacity, most, token);
BEGIN
    DELETE FROM nebula_queue.weights w WHERE w.queue = name AND w.tenant <> ALL (tenants);
    INSERT INTO nebula_queue.weights AS w SELECT name, n.tenant, n.weight FROM unnest(tenants, weights) n (tenant, weight)
    ON CONFLICT (queue, tenant) DO UPDATE SET weight = excluded.weight WHERE w.weight <> excluded.weight;
    pause := nebula_queue.given_back(s);
    life := s.life; dropped := s.dropped;
END $$;

INSERT INTO nebula_queue.versions VALUES (1);
