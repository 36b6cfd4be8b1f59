-- One row a log record; the key makes a batch that is sent twice harmless, and keeps an execution's log together.
CREATE TABLE logs (
    execution_id TEXT    NOT NULL,
    attempt      INTEGER NOT NULL,
    sequence     INTEGER NOT NULL,
    at_ns        INTEGER NOT NULL,
    severity     INTEGER NOT NULL,  -- 0 trace, 1 debug, 2 info, 3 warn, 4 error
    logger       TEXT    NOT NULL,
    message      TEXT    NOT NULL,
    context      TEXT    NOT NULL,
    error        TEXT,
    stack_trace  TEXT,
    PRIMARY KEY (execution_id, attempt, sequence)
) STRICT, WITHOUT ROWID;

-- Finds the few lines that matter among a hundred thousand that do not.
CREATE INDEX logs_severe ON logs (execution_id, attempt, sequence) WHERE severity >= 3;

CREATE TABLE log_counts (
    execution_id TEXT    NOT NULL,
    severity     INTEGER NOT NULL,
    rows         INTEGER NOT NULL,
    PRIMARY KEY (execution_id, severity)
) STRICT, WITHOUT ROWID;

CREATE TABLE log_total (rows INTEGER NOT NULL) STRICT;
INSERT INTO log_total VALUES (0);

CREATE TRIGGER logs_count_insert AFTER INSERT ON logs BEGIN
    INSERT INTO log_counts VALUES (new.execution_id, new.severity, 1)
        ON CONFLICT (execution_id, severity) DO UPDATE SET rows = rows + 1;
    UPDATE log_total SET rows = rows + 1;
END;
