-- For whoever follows what changes: a cursor is the pair of the highest numbers of `executions` and `journal`
-- that were seen, and of the table below. Following costs no write but this one.

-- Statuses that a step moved without an entry. Only the newest rows are kept, and the highest always is.
CREATE TABLE status_moves (
    m         INTEGER PRIMARY KEY,
    execution INTEGER NOT NULL
) STRICT;

-- Where the highest rows go, their numbers come again. Each time that is a new generation, and whoever comes
-- with a cursor of an earlier one goes on from the numbers that were left.
CREATE TABLE change_generations (
    g INTEGER PRIMARY KEY AUTOINCREMENT,
    n INTEGER NOT NULL,
    j INTEGER NOT NULL
) STRICT;
INSERT INTO change_generations (n, j) VALUES (0, 0);

CREATE TRIGGER executions_go AFTER DELETE ON executions
WHEN old.n > coalesce((SELECT max(n) FROM executions), 0) BEGIN
    INSERT INTO change_generations (n, j) VALUES (
        coalesce((SELECT max(n) FROM executions), 0), coalesce((SELECT max(j) FROM journal), 0));
    DELETE FROM change_generations WHERE g <= (SELECT max(g) FROM change_generations) - 1000;
END;
CREATE TRIGGER journal_goes AFTER DELETE ON journal
WHEN old.j > coalesce((SELECT max(j) FROM journal), 0) BEGIN
    INSERT INTO change_generations (n, j) VALUES (
        coalesce((SELECT max(n) FROM executions), 0), coalesce((SELECT max(j) FROM journal), 0));
    DELETE FROM change_generations WHERE g <= (SELECT max(g) FROM change_generations) - 1000;
END;
