-- One row a finished span; the key makes a batch that is sent twice harmless, and keeps an execution's trace together.
CREATE TABLE spans (
    execution_id   TEXT    NOT NULL,
    attempt        INTEGER NOT NULL,
    sequence       INTEGER NOT NULL,
    span_id        TEXT    NOT NULL,
    parent_id      TEXT,
    name           TEXT    NOT NULL,
    kind           TEXT    NOT NULL,
    start_ns       INTEGER NOT NULL,
    end_ns         INTEGER NOT NULL,
    status         TEXT    NOT NULL,
    status_message TEXT,
    attributes     TEXT    NOT NULL,
    PRIMARY KEY (execution_id, attempt, sequence)
) STRICT, WITHOUT ROWID;

CREATE INDEX spans_start ON spans (execution_id, start_ns, attempt, sequence);

CREATE TABLE span_total (rows INTEGER NOT NULL) STRICT;
INSERT INTO span_total VALUES (0);

CREATE TRIGGER spans_count_insert AFTER INSERT ON spans BEGIN
    UPDATE span_total SET rows = rows + 1;
END;
