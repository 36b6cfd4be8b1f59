"""Tables in CSV files: where they are, what their columns hold, what they come to. No task, so no `@task` here."""
