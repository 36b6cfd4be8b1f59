-- Which execution called this one: parent, its attempt, root, depth, span. NULL where a client asked for it.
ALTER TABLE executions ADD COLUMN lineage TEXT;

-- From an execution to those that it called, and to all below it.
CREATE INDEX executions_parent ON executions (json_extract(lineage, '$.parent_id'), created_ns, execution_id)
    WHERE json_extract(lineage, '$.parent_id') IS NOT NULL;
CREATE INDEX executions_root ON executions (json_extract(lineage, '$.root_id'), created_ns, execution_id)
    WHERE json_extract(lineage, '$.root_id') IS NOT NULL;
