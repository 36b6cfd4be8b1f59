-- One row a machine that joined. Keys are CURVE public keys as Z85; times are nanoseconds since the Unix epoch.
CREATE TABLE nodes (
    name         TEXT    NOT NULL PRIMARY KEY,
    public_key   TEXT    NOT NULL UNIQUE,
    status       TEXT    NOT NULL CHECK (status IN ('enrolled', 'draining', 'revoked')),
    version      TEXT    NOT NULL,  -- of Ratchet, when it last said so
    enrolled_ns  INTEGER NOT NULL,
    last_seen_ns INTEGER,           -- NULL: it has not connected since it enrolled
    host         TEXT,              -- as the machine calls itself
    pid          INTEGER            -- of its supervisor
) STRICT, WITHOUT ROWID;

-- One row a join token that may still be used. Only the public half is here: nobody can read tokens out of it.
CREATE TABLE tokens (
    public_key TEXT    NOT NULL PRIMARY KEY,
    uses_left  INTEGER NOT NULL CHECK (uses_left >= 0),
    expires_ns INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
