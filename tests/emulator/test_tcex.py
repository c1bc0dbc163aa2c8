"""The vendor's own client, unchanged, over HTTPS with our authority trusted."""

import time


def test_lists_owners(tcex):
    found = {owner.model.name: owner.model.id for owner in tcex.api.tc.v3.owners()}
    assert found == {"Demo Organization": 1, "Demo Source": 2, "Demo Community": 3, "Silent Source": 4}


def test_lists_indicators_page_by_page(tcex, tc_emulator_tls):
    tc_emulator_tls.seed("Demo Source", 250, report=False)
    indicators = tcex.api.tc.v3.indicators(params={"resultLimit": 100, "fields": ["tags", "attributes"]})
    indicators.tql.raw_tql = 'ownerName = "Demo Source"'
    models = [indicator.model for indicator in indicators]
    assert len(models) == len({model.id for model in models}) == 250
    assert {model.owner_name for model in models} == {"Demo Source"}
    assert any(model.tags.data for model in models)
    pages = [entry for entry in tc_emulator_tls.journal("/v3/indicators") if entry["status"] == 200]
    assert len(pages) == 3


def test_filters_and_counts(tcex, tc_emulator_tls):
    from tcex.api.tc.v3.tql.tql_operator import TqlOperator

    tc_emulator_tls.seed("Demo Source", 300, report=False)
    indicators = tcex.api.tc.v3.indicators(params={"resultLimit": 1000})
    indicators.filter.type_name(TqlOperator.EQ, "Host")
    indicators.filter.owner_name(TqlOperator.EQ, "Demo Source")
    assert len(indicators) == tc_emulator_tls.counts("Demo Source")["Host"]
    assert {indicator.model.type for indicator in indicators} == {"Host"}


def test_loads_a_batch(tcex, tc_emulator_tls, monkeypatch):
    monkeypatch.setattr(time, "sleep", lambda _seconds: None)  # tcex's first look is 15 s after the upload
    batch = tcex.api.tc.v2.batch("Demo Community", halt_on_error=False)
    group = batch.group("Campaign", "Winter", xid="campaign-winter")
    batch.save(group)
    host = batch.indicator("Host", "bad.example.com", rating=4, confidence=80, dns_active=True, whois_active=True)
    host.attribute("Description", "seen in winter", displayed=True)
    host.tag("Winter")
    host.security_label("TLP:AMBER")
    host.association("campaign-winter")
    batch.save(host)
    file = batch.file("a" * 32, "b" * 40, "c" * 64, size=512)
    file.occurrence("evil.exe", "C:\\Temp", "2026-01-02T03:04:05Z")
    batch.save(file)
    batch.save(batch.registry_key(r"HKEY_LOCAL_MACHINE\Software\Bad", "Run", "REG_SZ"))
    batch.save(batch.indicator("Address", "not an address"))

    (status,) = batch.submit_all()

    assert status["status"] == "Completed"
    assert (status["successCount"], status["errorCount"], status["unprocessCount"]) == (4, 1, 0)
    assert [error["code"] for error in status["errors"]] == ["0x1005"]
    stored = tc_emulator_tls.indicator("Demo Community", "Host", "bad.example.com")
    assert (stored["rating"], stored["confidence"], stored["description"]) == (4.0, 80, "seen in winter")
    assert (stored["dns_active"], stored["whois_active"]) == (1, 1)
    assert [tag["name"] for tag in stored["tags"]] == ["Winter"]
    assert [label["name"] for label in stored["labels"]] == ["TLP:AMBER"]
    campaign = tc_emulator_tls.group("Demo Community", "campaign-winter")
    assert stored["links"] == [{"kind": "group", "id": campaign["id"], "type": ""}]
    by_hash = tc_emulator_tls.indicator("Demo Community", "File", "b" * 40)
    assert (by_hash["value1"], by_hash["size"]) == ("A" * 32, 512)
    assert by_hash["occurrences"][0]["fileName"] == "evil.exe"
    assert tc_emulator_tls.counts("Demo Community") == {"File": 1, "Host": 1, "Registry Key": 1}
