-- What retention removed of an execution that is kept; NULL: nothing.
ALTER TABLE executions ADD COLUMN logs_pruned_ns INTEGER;
ALTER TABLE executions ADD COLUMN spans_pruned_ns INTEGER;

-- What other stores still have to remove. Written with the change that makes it so, and deleted once they have.
CREATE TABLE prunings (
    store        TEXT NOT NULL,  -- logs, spans
    execution_id TEXT NOT NULL,
    PRIMARY KEY (store, execution_id)
) STRICT, WITHOUT ROWID;

-- Audit records go in one way only: from the oldest on, up to a moment that is recorded and never goes back.
CREATE TABLE audit_pruned (before_ns INTEGER NOT NULL) STRICT;
INSERT INTO audit_pruned VALUES (0);

CREATE TRIGGER audit_pruned_only_grows BEFORE UPDATE ON audit_pruned WHEN new.before_ns < old.before_ns BEGIN
    SELECT RAISE(ABORT, 'what was pruned stays so');
END;

DROP TRIGGER audit_is_not_deleted;
CREATE TRIGGER audit_is_not_deleted BEFORE DELETE ON audit
    WHEN old.at_ns >= (SELECT before_ns FROM audit_pruned) BEGIN
    SELECT RAISE(ABORT, 'the audit log is append-only');
END;
