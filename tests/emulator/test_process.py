import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
import requests

from tcetl.emulator import EmulatorError, run_emulator


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    return state != "Z"  # a zombie is as dead as can be


def wait_for_end(pid):
    for _ in range(200):
        if not alive(pid):
            return True
        time.sleep(0.05)
    return False


def test_runs_seeded_in_its_own_process_and_ends(tmp_path):
    with run_emulator(seed=50, data_dir=tmp_path / "state") as emulator:
        assert emulator.pid != os.getpid()
        assert sum(emulator.counts("Demo Source").values()) == 50
        assert (tmp_path / "state" / "reports" / "2.json").exists()
        pid = emulator.pid
    assert not alive(pid)


def test_busy_port_is_a_clear_error():
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(EmulatorError, match=r"cannot start.*in use"),
        run_emulator(port=taken.getsockname()[1]),
    ):
        pass


def test_dies_with_its_parent():
    script = textwrap.dedent("""
        import sys, time
        from tcetl.emulator import run_emulator
        with run_emulator() as emulator:
            print(emulator.pid, flush=True)
            time.sleep(60)
    """)
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as parent:
        pid = int(parent.stdout.readline())
        assert alive(pid)
        parent.send_signal(signal.SIGKILL)
    assert wait_for_end(pid)


def test_https_is_trusted_by_its_authority_only(tc_emulator_tls):
    url = f"{tc_emulator_tls.url}/v2/owners"
    headers = {"Authorization": f"TC-Token {tc_emulator_tls.token}"}
    assert requests.get(url, headers=headers, verify=str(tc_emulator_tls.ca_file)).status_code == 200
    session = requests.Session()
    session.trust_env = False
    with pytest.raises(requests.exceptions.SSLError):
        session.get(url, headers=headers)


def test_reset_forgets_everything(api, tc_emulator):
    tc_emulator.seed("Demo Source", 20)
    tc_emulator.add_fault("status", count=None, route="/v2/nothing")
    tc_emulator.advance_clock(50)
    tc_emulator.set_limits(max_indicators=1)
    tc_emulator.set_bulk("Silent Source", json=True)
    api.load("Demo Community", {"indicator": [{"type": "Host", "summary": "a.example.com"}]})
    tc_emulator.reset()
    assert tc_emulator.counts("Demo Source") == tc_emulator.counts("Demo Community") == {}
    assert tc_emulator.faults() == tc_emulator.journal() == []
    assert tc_emulator.set_limits()["max_indicators"] == 25_000
    assert tc_emulator.set_bulk("Silent Source")["jsonEnabled"] is False
    assert api.get("/v2/batch/1").status_code == 404
    assert api.get("/v2/indicators/bulk/json", params={"owner": "Demo Source"}).status_code == 404
    assert api.create("Demo Source") == 1


def test_admin_answers_this_machine_by_its_own_name_only(tc_emulator):
    url = tc_emulator.url.replace("/api", "/admin/journal")
    assert requests.get(url).status_code == 200
    assert requests.get(url, headers={"Host": "evil.example.com"}).status_code == 500
    assert requests.get(url, headers={"Host": "localhost:1"}).status_code == 200


def test_admin_errors_are_clear(tc_emulator):
    with pytest.raises(EmulatorError, match="No owner is called 'Nowhere'"):
        tc_emulator.seed("Nowhere", 1)
    assert tc_emulator.indicator("Demo Source", "Host", "none.example.com") is None
    assert tc_emulator.group("Demo Source", "none") is None


def test_journal(api, tc_emulator):
    batch_id = api.create("Demo Source")
    api.upload(batch_id, b"[]")
    api.get("/v2/indicators/hosts/a%2Fb?owner=Demo%20Source")
    entries = tc_emulator.journal()
    assert [entry["seq"] for entry in entries] == [1, 2, 3]
    assert entries[1] | {"time": "", "seconds": 0, "bytes": 0} == {
        "seq": 2,
        "time": "",
        "method": "POST",
        "path": f"/v2/batch/{batch_id}",
        "query": "",
        "user": "writer",
        "status": 202,
        "served": 202,
        "bytes": 0,
        "request_bytes": 2,
        "fault": None,
        "seconds": 0,
    }
    assert (entries[2]["path"], entries[2]["query"]) == ("/v2/indicators/hosts/a%2Fb", "owner=Demo%20Source")
    assert [entry["seq"] for entry in tc_emulator.journal("/v2/batch/*", method="POST")] == [2]
    assert [entry["seq"] for entry in tc_emulator.journal("/v2/batch**", after=1)] == [2]
