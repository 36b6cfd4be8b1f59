"""Reports as PDF: the document, its charts, its tables. No task, so no `@task` here."""
