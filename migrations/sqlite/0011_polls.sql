-- The last round of polling that all peers of a receiver answered, whichever replica asked: what one has read, all have.
-- `answered_at` is by the clock of the database; `watchdog_at`, when the Watchdog was last listed, by that of the replica.
CREATE TABLE polls (
    receiver    TEXT    NOT NULL PRIMARY KEY,
    answered_at INTEGER NOT NULL,
    watchdog_at INTEGER
) STRICT;
