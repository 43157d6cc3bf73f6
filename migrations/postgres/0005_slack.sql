-- Requests of chat platforms that were taken, by what proves them, so that none is taken twice. Kept for longer than
-- one could be believed again.
CREATE TABLE proofs (
    digest BYTEA  NOT NULL PRIMARY KEY,
    at     BIGINT NOT NULL
);
CREATE INDEX proofs_at ON proofs (at);

-- The card of each rollout in each channel that has cards: where it stands, and which generation it shows. Without a
-- message it has not been posted, as far as anybody knows.
CREATE TABLE cards (
    rollout       TEXT    NOT NULL,
    channel       TEXT    NOT NULL,
    place         TEXT    NOT NULL DEFAULT '',
    message       TEXT,
    generation    BIGINT  NOT NULL DEFAULT 0,
    shown_at      BIGINT  NOT NULL DEFAULT 0,
    claimed_by    TEXT,
    claimed_until BIGINT  NOT NULL DEFAULT 0,
    attempts      BIGINT  NOT NULL DEFAULT 0,
    PRIMARY KEY (rollout, channel)
);
