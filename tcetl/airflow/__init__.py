"""The Airflow provider: hook, operators, triggers; thin over the pipeline."""
