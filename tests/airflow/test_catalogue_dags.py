"""One DAG per feed that is named in the configuration."""

import runpy
from datetime import timedelta
from pathlib import Path

import pytest
from airflow.sdk import DAG

from tcetl.catalogue import find

DAG_FILE = Path(__file__).parents[2] / "dags" / "threatconnect_catalogue.py"


@pytest.fixture
def dags(monkeypatch):
    def made(feeds):
        monkeypatch.setenv("AIRFLOW__THREATCONNECT__FEEDS", feeds)
        found = []
        init = DAG.__exit__
        monkeypatch.setattr(DAG, "__exit__", lambda dag, *error: (found.append(dag), init(dag, *error))[1])
        runpy.run_path(str(DAG_FILE))
        return {dag.dag_id: dag for dag in found}

    return made


def test_each_feed_gets_a_dag_as_often_as_its_provider_allows(dags):
    found = dags("cisa-kev, feodotracker-c2")
    assert found.keys() == {"threatconnect_feed_cisa-kev", "threatconnect_feed_feodotracker-c2"}
    kev = found["threatconnect_feed_cisa-kev"]
    assert kev.schedule == find("cisa-kev").interval == timedelta(days=1)
    plan, upload = kev.topological_sort()
    assert (plan.task_id, plan.feed) == ("plan", "cisa-kev")
    assert plan.state.endswith("/feeds/cisa-kev.state")
    assert upload.task_id == "upload"


def test_without_the_setting_there_are_none(dags):
    assert dags("") == {}
