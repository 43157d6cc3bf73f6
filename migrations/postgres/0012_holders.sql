-- The rollout that wrote the epoch of a target last. While it is not over, no other may write there, be it as its own target or
-- on its way back. A start looks here, instead of into what every rollout under way says.
ALTER TABLE targets ADD COLUMN rollout TEXT;
UPDATE targets SET rollout = (SELECT id FROM rollouts WHERE rollouts.target = targets.name AND rollouts.is_final = 0);
