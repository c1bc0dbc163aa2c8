"""The whole product on one machine, for real: emulator, feed, three Airflow DAGs, lake, SIEM lines, report.

Nothing is imported here: the child process that runs Airflow must not load what it does not need.
"""
