-- A session knows the token it was opened with, and ends with it. Those from before do not: people sign in again.
DELETE FROM tokens WHERE kind = 'session';
ALTER TABLE tokens ADD COLUMN parent BIGINT REFERENCES tokens (number) ON DELETE CASCADE;
CREATE INDEX tokens_parent ON tokens (parent) WHERE parent IS NOT NULL;
