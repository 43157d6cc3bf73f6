-- Where a person spoke who is named by a line of the log; nothing for what nobody said, and for lines from before this was kept.
ALTER TABLE log ADD COLUMN surface TEXT;
