-- What an execution's task said of attempts that fail, when it was accepted. NULL: nothing, so none follows.
ALTER TABLE executions ADD COLUMN retry TEXT;

-- A queued one does not start before; NULL: as soon as there is a slot.
ALTER TABLE executions ADD COLUMN due_ns INTEGER;

-- When it must have ended, with all its attempts; NULL: only each of them is limited.
ALTER TABLE executions ADD COLUMN deadline_ns INTEGER;
