-- Each channel has a worker of its own, which looks for what is due on it.
DROP INDEX messages_waiting;
CREATE INDEX messages_waiting ON messages (channel, number) WHERE state = 'waiting';

-- The web chat is read from what was said on its channel; storing it is saying it.
CREATE INDEX messages_channel ON messages (channel, number);
UPDATE messages SET state = 'sent' WHERE channel = 'chat' AND state = 'waiting';
