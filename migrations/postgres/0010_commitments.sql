-- A rollout that is over while somebody is still to be told of it: its target is free, and its clock is looked at all the same.
ALTER TABLE rollouts ADD COLUMN owes_word BIGINT NOT NULL DEFAULT 0 CHECK (owes_word IN (0, 1));
CREATE INDEX rollouts_owing ON rollouts (id) WHERE owes_word = 1;
