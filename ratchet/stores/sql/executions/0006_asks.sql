-- Questions to the caller. A row is written before anybody is asked, and closed exactly once.
CREATE TABLE asks (
    key          TEXT    NOT NULL PRIMARY KEY,
    execution_id TEXT    NOT NULL REFERENCES executions (execution_id) ON DELETE CASCADE,
    fence        INTEGER NOT NULL,  -- of the attempt that asks
    kind         TEXT    NOT NULL,  -- sampling
    request      TEXT    NOT NULL,
    state        TEXT    NOT NULL,  -- open, answered, refused, unavailable, expired, unattended, withdrawn, ended
    asked_ns     INTEGER NOT NULL,
    expires_ns   INTEGER NOT NULL,
    closed_ns    INTEGER,
    answer       TEXT,
    reason       TEXT               -- why there is no answer
) STRICT, WITHOUT ROWID;

CREATE INDEX asks_execution ON asks (execution_id, state);
CREATE INDEX asks_open ON asks (state) WHERE state = 'open';
