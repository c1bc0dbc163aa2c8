"""A user's DAG with a transform of their own: what the documentation shows, run whole by ``test_dags.py``."""

from airflow.sdk import DAG, Param, task

from tcetl.airflow.operators.upload import ThreatConnectBatchUploadOperator

with DAG("transforming", schedule=None, params={"feed": Param(type="string")}) as dag:

    @task.tc_transform(feed=dag.param("feed"), security_labels=["TLP:AMBER"])
    def plan(df, score, *, least):
        """Score what was hit often enough, and leave out the rest."""
        df["confidence"] = score
        return df[df["hits"].astype(int) >= least]

    ThreatConnectBatchUploadOperator(task_id="upload", run_dir=plan(70, least=4)["run_dir"], deferrable=True)
