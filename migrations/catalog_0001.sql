-- The catalog: which connectors there are and how far each sink is. Applied migrations are never changed
-- (a test compares digests); add a new file instead.

CREATE TABLE connector (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    -- JSON object, text to text, as posted.
    config TEXT NOT NULL,
    target_state TEXT NOT NULL CHECK (target_state IN ('RUNNING', 'PAUSED', 'STOPPED')),
    -- Set before the connector's log is removed, so that a deletion that was cut short is finished at the next start.
    is_deleted INTEGER NOT NULL DEFAULT 0 CHECK (is_deleted IN (0, 1))
) STRICT;

-- How far a sink has stored the changes of one source durably: <log id>@<offset>@<commit LSN>:<ordinal>.
CREATE TABLE sink_cursor (
    sink TEXT NOT NULL REFERENCES connector (name) ON DELETE CASCADE,
    source TEXT NOT NULL REFERENCES connector (name) ON DELETE CASCADE,
    cursor TEXT NOT NULL,
    PRIMARY KEY (sink, source)
) STRICT, WITHOUT ROWID;

-- Topics that a connector has used since it was created or its topics were reset.
CREATE TABLE topic (
    connector TEXT NOT NULL REFERENCES connector (name) ON DELETE CASCADE,
    name TEXT NOT NULL,
    PRIMARY KEY (connector, name)
) STRICT, WITHOUT ROWID;

-- Offsets of source connectors as the REST API shows them: JSON texts. For show: the truth is the change log.
CREATE TABLE source_offset (
    connector TEXT NOT NULL REFERENCES connector (name) ON DELETE CASCADE,
    partition TEXT NOT NULL,
    offset TEXT NOT NULL,
    PRIMARY KEY (connector, partition)
) STRICT, WITHOUT ROWID;
