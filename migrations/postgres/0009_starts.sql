-- How many rollouts were started. What concerns nobody is settled as soon as it is stored; this row tells whether somebody
-- was started since it was looked whom it concerns. It has to be there before the first start, to be locked.
INSERT INTO counters (name, value) VALUES ('starts', 0) ON CONFLICT DO NOTHING;
