-- Times are nanoseconds since 1970-01-01 UTC. Documents are JSON in the versioned envelope of the core.
-- A released migration is never edited; the next one has the next number, in both folders.

-- What was heard. A row is unsettled until its consequences are saved.
CREATE TABLE deliveries (
    number  BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id      TEXT    NOT NULL UNIQUE,
    scope   TEXT    NOT NULL,
    nonce   TEXT,
    at      BIGINT NOT NULL,
    content TEXT    NOT NULL,
    raw     BYTEA    NOT NULL,
    settled BIGINT NOT NULL DEFAULT 0 CHECK (settled IN (0, 1)),
    answer  TEXT
);
CREATE UNIQUE INDEX deliveries_nonce ON deliveries (scope, nonce) WHERE nonce IS NOT NULL;
CREATE INDEX deliveries_unsettled ON deliveries (number) WHERE settled = 0;
CREATE INDEX deliveries_settled ON deliveries (at) WHERE settled = 1;

-- The latest word on each occasion of each alert.
CREATE TABLE alerts (
    number         BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source         TEXT    NOT NULL,
    receiver       TEXT    NOT NULL,
    fingerprint    TEXT    NOT NULL,
    starts_at      BIGINT NOT NULL,
    status         TEXT    NOT NULL CHECK (status IN ('firing', 'resolved')),
    ends_at        BIGINT,
    name           TEXT    NOT NULL,
    service        TEXT    NOT NULL,
    environment    TEXT    NOT NULL,
    document       TEXT    NOT NULL,
    first_heard_at BIGINT NOT NULL,
    heard_at       BIGINT NOT NULL,
    UNIQUE (fingerprint, starts_at, receiver, source)
);
CREATE INDEX alerts_heard ON alerts (heard_at);
CREATE INDEX alerts_named ON alerts (name, environment, starts_at);
CREATE INDEX alerts_firing ON alerts (number) WHERE status = 'firing';

-- Each rollout as it stands.
CREATE TABLE rollouts (
    id          TEXT    NOT NULL PRIMARY KEY,
    plan        TEXT    NOT NULL,
    environment TEXT    NOT NULL,
    target      TEXT    NOT NULL,
    generation  BIGINT NOT NULL,
    epoch       BIGINT NOT NULL,
    is_final    BIGINT NOT NULL CHECK (is_final IN (0, 1)),
    started_at  BIGINT NOT NULL,
    changed_at  BIGINT NOT NULL,
    revision    BIGINT NOT NULL,
    document    TEXT    NOT NULL
);
CREATE UNIQUE INDEX rollouts_target ON rollouts (target) WHERE is_final = 0;
CREATE INDEX rollouts_revision ON rollouts (revision);
CREATE INDEX rollouts_started ON rollouts (started_at);
CREATE INDEX rollouts_over ON rollouts (changed_at) WHERE is_final = 1;

-- The highest epoch of each target: it only grows, also over rollouts that are forgotten.
CREATE TABLE targets (
    name  TEXT   NOT NULL PRIMARY KEY,
    epoch BIGINT NOT NULL
);

-- What guards several rollouts at once. The generation moves with every freeze, thaw and spent rollback.
CREATE TABLE environments (
    name       TEXT    NOT NULL PRIMARY KEY,
    generation BIGINT NOT NULL,
    frozen     TEXT
);
CREATE TABLE automatic_rollbacks (
    number      BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    environment TEXT    NOT NULL,
    rollout     TEXT    NOT NULL,
    at          BIGINT NOT NULL
);
CREATE INDEX automatic_rollbacks_at ON automatic_rollbacks (environment, at);

-- The outbox: what is to be done. An action without an outcome is open.
CREATE TABLE actions (
    number         BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id             TEXT    NOT NULL UNIQUE,
    rollout        TEXT    NOT NULL,
    lane           TEXT    NOT NULL CHECK (lane IN ('safety', 'forward')),
    epoch          BIGINT NOT NULL,
    fenced         BIGINT NOT NULL CHECK (fenced IN (0, 1)),
    document       TEXT    NOT NULL,
    due_at         BIGINT NOT NULL,
    claimed_by     TEXT,
    claimed_until  BIGINT NOT NULL DEFAULT 0,
    attempts       BIGINT NOT NULL DEFAULT 0,
    first_tried_at BIGINT,
    why            TEXT,
    outcome        TEXT
);
CREATE INDEX actions_open ON actions (lane, number) WHERE outcome IS NULL;
CREATE INDEX actions_rollout ON actions (rollout);

-- The outbox: what is to be said, one row per notice and channel.
CREATE TABLE messages (
    number        BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    notice        TEXT    NOT NULL,
    channel       TEXT    NOT NULL,
    rollout       TEXT    NOT NULL,
    document      TEXT    NOT NULL,
    created_at    BIGINT NOT NULL,
    due_at        BIGINT NOT NULL,
    claimed_by    TEXT,
    claimed_until BIGINT NOT NULL DEFAULT 0,
    attempts      BIGINT NOT NULL DEFAULT 0,
    why           TEXT,
    state         TEXT    NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'sent', 'buried')),
    UNIQUE (notice, channel)
);
CREATE INDEX messages_waiting ON messages (number) WHERE state = 'waiting';
CREATE INDEX messages_buried ON messages (number) WHERE state = 'buried';
CREATE INDEX messages_done ON messages (created_at) WHERE state <> 'waiting';
CREATE INDEX messages_rollout ON messages (rollout);

-- The log. Chains are named after their rollout, or `server`; each keeps its head, so that a cut tail shows.
CREATE TABLE log (
    number BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    chain  TEXT    NOT NULL,
    line   BIGINT NOT NULL,
    at     BIGINT NOT NULL,
    kind   TEXT    NOT NULL,
    actor  TEXT    NOT NULL,
    text   TEXT    NOT NULL,
    hash   BYTEA    NOT NULL,
    UNIQUE (chain, line)
);
CREATE TABLE chains (
    name  TEXT    NOT NULL PRIMARY KEY,
    lines BIGINT NOT NULL,
    hash  BYTEA    NOT NULL
);

-- Flags served to services.
CREATE TABLE flags (
    key      TEXT    NOT NULL PRIMARY KEY,
    rollout  TEXT    NOT NULL,
    epoch    BIGINT NOT NULL,
    document TEXT    NOT NULL,
    revision BIGINT NOT NULL
);

-- Counters that grow in the order of commits: revisions, and the starts of each plan.
CREATE TABLE counters (
    name  TEXT    NOT NULL PRIMARY KEY,
    value BIGINT NOT NULL
);

-- Who leads, by the clock of the database, and which replicas live.
CREATE TABLE leases (
    name       TEXT    NOT NULL PRIMARY KEY,
    holder     TEXT    NOT NULL,
    term       BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE TABLE replicas (
    id             TEXT    NOT NULL PRIMARY KEY,
    beat_at        BIGINT NOT NULL,
    seen_at        BIGINT NOT NULL,
    flags_revision BIGINT NOT NULL
);

-- Who may come in. Only hashes are kept.
CREATE TABLE tokens (
    number     BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    hash       BYTEA    NOT NULL UNIQUE,
    kind       TEXT    NOT NULL CHECK (kind IN ('token', 'session')),
    person     TEXT    NOT NULL,
    roles      TEXT    NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT
);
