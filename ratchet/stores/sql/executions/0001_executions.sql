-- One row an execution. JSON columns are text; times are nanoseconds since the Unix epoch.
CREATE TABLE executions (
    execution_id     TEXT    NOT NULL PRIMARY KEY,
    task_id          TEXT    NOT NULL,
    version          TEXT    NOT NULL,
    status           TEXT    NOT NULL,
    fence            INTEGER NOT NULL,  -- of the newest attempt; 0 before the first
    client           TEXT    NOT NULL,  -- source.client, for idempotency keys and ownership
    source           TEXT    NOT NULL,
    input            TEXT    NOT NULL,
    output           TEXT,
    failure          TEXT,
    progress         TEXT,
    trace            INTEGER NOT NULL,
    priority         INTEGER NOT NULL,
    idempotent       INTEGER NOT NULL,
    idempotency_key  TEXT,
    metadata         TEXT    NOT NULL,
    created_ns       INTEGER NOT NULL,
    started_ns       INTEGER,
    ended_ns         INTEGER,
    cancel_requested TEXT
) STRICT;

CREATE INDEX executions_created ON executions (created_ns, execution_id);
CREATE INDEX executions_status ON executions (status, created_ns, execution_id);
CREATE INDEX executions_task ON executions (task_id, status, created_ns, execution_id);
CREATE UNIQUE INDEX executions_idempotency ON executions (client, idempotency_key) WHERE idempotency_key IS NOT NULL;

CREATE TABLE attempts (
    execution_id TEXT    NOT NULL REFERENCES executions (execution_id) ON DELETE CASCADE,
    number       INTEGER NOT NULL,
    record       TEXT    NOT NULL,
    PRIMARY KEY (execution_id, number)
) STRICT, WITHOUT ROWID;

-- Counting a million rows for every health check would be slow; adding one is not.
CREATE TABLE execution_counts (
    status TEXT    NOT NULL PRIMARY KEY,
    rows   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TRIGGER executions_count_insert AFTER INSERT ON executions BEGIN
    INSERT INTO execution_counts VALUES (new.status, 1) ON CONFLICT (status) DO UPDATE SET rows = rows + 1;
END;

CREATE TRIGGER executions_count_update AFTER UPDATE OF status ON executions WHEN new.status <> old.status BEGIN
    UPDATE execution_counts SET rows = rows - 1 WHERE status = old.status;
    INSERT INTO execution_counts VALUES (new.status, 1) ON CONFLICT (status) DO UPDATE SET rows = rows + 1;
END;

CREATE TRIGGER executions_count_delete AFTER DELETE ON executions BEGIN
    UPDATE execution_counts SET rows = rows - 1 WHERE status = old.status;
END;

-- What task files were found to define, so that a restart need not import them all again.
CREATE TABLE task_files (
    path        TEXT NOT NULL PRIMARY KEY,
    description TEXT NOT NULL
) STRICT, WITHOUT ROWID;
