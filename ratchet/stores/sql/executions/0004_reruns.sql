-- From an execution to those that were run again because of it.
CREATE INDEX executions_reruns ON executions (json_extract(metadata, '$.original_execution'), created_ns, execution_id)
    WHERE json_extract(metadata, '$.original_execution') IS NOT NULL;
