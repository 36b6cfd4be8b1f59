-- One row a call or refusal of a client. The key makes a batch that is sent twice harmless.
CREATE TABLE audit (
    at_ns        INTEGER NOT NULL,
    record_id    TEXT    NOT NULL,
    client       TEXT,              -- NULL: it was not let in
    transport    TEXT    NOT NULL,
    session_id   TEXT,
    tool         TEXT    NOT NULL,
    task_id      TEXT,
    execution_id TEXT,
    decision     TEXT    NOT NULL,  -- allowed, refused
    code         TEXT,
    duration_ms  REAL    NOT NULL,
    PRIMARY KEY (at_ns, record_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX audit_client ON audit (client, at_ns, record_id);
CREATE INDEX audit_refused ON audit (at_ns, record_id) WHERE decision = 'refused';
CREATE INDEX audit_client_refused ON audit (client, at_ns, record_id) WHERE decision = 'refused';

CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit BEGIN
    SELECT RAISE(ABORT, 'the audit log is append-only');
END;

CREATE TRIGGER audit_is_not_deleted BEFORE DELETE ON audit BEGIN
    SELECT RAISE(ABORT, 'the audit log is append-only');
END;
