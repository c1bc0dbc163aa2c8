"""Task decorators: functions as tasks, under ``@task``."""
