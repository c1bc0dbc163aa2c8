"""``@task.tc_transform``: a function that plans the load of a feed with itself as a transform."""

import json

import pytest
from airflow.sdk import DAG, task

from tcetl.airflow.decorators.transform import transform_task
from tcetl.airflow.get_provider_info import get_provider_info
from tcetl.airflow.operators.feed import FeedPlanOperator
from tcetl.errors import TransformError
from tcetl.load import Run
from tcetl.transform import transform


def scores(run):
    [chunk] = (run.path / "chunks").glob("*.json")
    return {one.get("confidence") for one in json.loads(chunk.read_bytes())["indicator"]}


@pytest.fixture
def lone_feed(tmp_path):
    path = tmp_path / "lone.csv"
    path.write_text("url,hits\nhttp://a.example/,3\nhttp://b.example/,5\n")
    return str(path)


def test_the_function_is_a_transform_and_its_result_leads_to_the_upload(
    default_connection, lone_feed, tmp_path, context
):
    with DAG("transforming", schedule=None):

        @transform_task(feed=lone_feed, run_dir=str(tmp_path / "run"))
        def plan(df, score, *, least=0):
            """Score what was hit often enough."""
            df["confidence"] = score
            return df[df["hits"].astype(int) > least]

        output = plan(70, least=4)
    operator = output.operator
    assert (operator.task_id, operator.doc_md) == ("plan", "Score what was hit often enough.")
    result = operator.execute(context)
    assert scores(Run.open(result["run_dir"])) == {70}
    assert (result["records"], result["rejected"]) == (1, {"dropped-by-transform": 1})
    assert output["run_dir"].key == "run_dir"
    assert operator.multiple_outputs


def test_a_decorated_transform_of_the_indicators(default_connection, lone_feed, tmp_path, context):
    @transform(on="indicators", columns=["confidence"])
    def settle(df):
        return df.assign(confidence=9)

    with DAG("transforming", schedule=None):
        output = transform_task(settle, feed=lone_feed, run_dir=str(tmp_path / "run"))()
    assert scores(Run.open(output.operator.execute(context)["run_dir"])) == {9}


def test_transforms_by_name_in_the_operator(default_connection, lone_feed, tmp_path, context):
    rules = tmp_path / "rules.py"
    rules.write_text("def flat(df):\n    return df.assign(confidence=1)\n\ndef broken(df):\n    return 1\n")
    options = {"task_id": "plan", "feed": lone_feed}
    task_ = FeedPlanOperator(run_dir=str(tmp_path / "run"), transforms=[f"{rules}:flat"], **options)
    assert scores(Run.open(task_.execute(context)["run_dir"])) == {1}
    with pytest.raises(TransformError, match="transform 'broken' returned a int, not a DataFrame"):
        FeedPlanOperator(run_dir=str(tmp_path / "2"), transforms=[f"{rules}:broken"], **options).execute(context)


def test_airflow_finds_the_decorator():
    [known] = get_provider_info()["task-decorators"]
    assert known == {"class-name": "tcetl.airflow.decorators.transform.transform_task", "name": "tc_transform"}
    assert task.tc_transform
