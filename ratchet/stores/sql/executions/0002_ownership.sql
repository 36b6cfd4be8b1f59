-- A client lists only its own executions; none of its pages may cost what others have stored.
CREATE INDEX executions_client ON executions (client, status, created_ns, execution_id);
CREATE INDEX executions_client_task ON executions (client, task_id, status, created_ns, execution_id);
