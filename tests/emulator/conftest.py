"""A signed session as any client would have one, made of requests and nothing of tcetl's client."""

import time
from collections.abc import Iterator

import msgspec
import pytest
import requests

from tcetl.emulator import Emulator
from tcetl.emulator.auth import signature


class Hmac(requests.auth.AuthBase):
    """Signs each request; *skew* seconds are added to the clock."""

    def __init__(self, access_id: str, secret_key: str, skew: float = 0) -> None:
        self.access_id, self.secret_key, self.skew = access_id, secret_key, skew

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        timestamp = str(int(time.time() + self.skew))
        signed = signature(self.secret_key, request.path_url, request.method, timestamp)
        request.headers.update({"Timestamp": timestamp, "Authorization": f"TC {self.access_id}:{signed}"})
        return request


class Api(requests.Session):
    """Requests to one emulator, and the few steps of a batch job."""

    def __init__(self, emulator: Emulator) -> None:
        super().__init__()
        self.url = emulator.url
        self.trust_env = False
        self.verify = str(emulator.ca_file) if emulator.ca_file else True
        self.auth = Hmac(emulator.access_id, emulator.secret_key)

    def request(self, method: str, url: str, **options) -> requests.Response:
        return super().request(method, self.url + url, timeout=30, **options)

    def data(self, path: str, **params) -> dict:
        response = self.get(path, params=params)
        assert response.status_code == 200, response.text
        return response.json()["data"]

    def create(self, owner: str, **settings) -> int:
        body = {"owner": owner, "action": "Create", "haltOnError": False, "attributeWriteType": "Replace"}
        response = self.post("/v2/batch", json={**body, "version": "V2", **settings})
        assert response.status_code == 201, response.text
        return response.json()["data"]["batchId"]

    def upload(self, batch_id: int, content) -> requests.Response:
        body = content if isinstance(content, bytes) else msgspec.json.encode(content)
        return self.post(f"/v2/batch/{batch_id}", data=body, headers={"Content-Type": "application/octet-stream"})

    def finish(self, batch_id: int) -> dict:
        for _ in range(600):
            status = self.data(f"/v2/batch/{batch_id}", includeAdditional="true")["batchStatus"]
            if status["status"] == "Completed":
                return status
            time.sleep(0.02)
        raise AssertionError(status)

    def load(self, owner: str, content, **settings) -> tuple[dict, list[dict]]:
        """Run a whole job; return its final status and its results."""
        batch_id = self.create(owner, **settings)
        response = self.upload(batch_id, content)
        assert response.status_code == 202, response.text
        status = self.finish(batch_id)
        results = self.get(f"/v2/batch/{batch_id}/results")
        return status, results.json() if results.ok else []


@pytest.fixture
def api(tc_emulator: Emulator) -> Iterator[Api]:
    with Api(tc_emulator) as session:
        yield session


@pytest.fixture
def tls_api(tc_emulator_tls: Emulator) -> Iterator[Api]:
    with Api(tc_emulator_tls) as session:
        yield session
