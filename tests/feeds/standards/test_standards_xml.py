"""STIX 1 and OpenIOC: what is taken and why not, and that no document reaches out, expands or hangs."""

import pytest

from tcetl.errors import FeedError
from tcetl.feeds import open_feed

MD5, SHA1, SHA256 = "1" * 32, "2" * 40, "3" * 64


def read(tmp_path, content, **options):
    path = tmp_path / "feed.xml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    feed = open_feed(path, **options)
    batches = list(feed.batches())
    rows = [row for batch in batches for row in batch.frame.rows(named=True)]
    rejects = [row for batch in batches for row in batch.rejects.to_pylist()]
    assert sum(batch.rows_read for batch in batches) == len(rows) + len(rejects)
    return feed, rows, rejects


def item(search, content, condition="is", ident="i", more=""):
    return (
        f'<IndicatorItem id="{ident}" condition="{condition}" {more}><Context search="{search}"/>'
        f"<Content>{content}</Content></IndicatorItem>"
    )


def ioc(*items, operator="OR"):
    return f"""<?xml version="1.0" encoding="utf-8"?>
<ioc xmlns="http://schemas.mandiant.com/2010/ioc">
<short_description>Op</short_description><authored_by>ACME</authored_by><authored_date>2014-03-18T20:23:23</authored_date>
<links><link rel="threatgroup">APT0</link></links>
<definition><Indicator operator="{operator}">{"".join(items)}</Indicator></definition></ioc>"""


def test_an_openioc_definition(tmp_path):
    joined = item("FileItem/Md5sum", MD5) + item("FileItem/Sha1sum", SHA1) + item("FileItem/FileName", "a.exe")
    feed, rows, rejects = read(
        tmp_path,
        ioc(
            item("Network/DNS", "a.example", "contains", ident="dns"),
            f'<Indicator operator="AND">{joined}</Indicator>',
            "<Indicator operator='AND'/>",
            item("RegistryItem/Path", "Run\\x", "contains"),
            item("FileItem/Md5sum", MD5, "isnot"),
            item("Snort/Snort", "alert tcp"),
        ),
    )
    assert feed.format == "openioc"
    assert [(row["type"], row["value"], row["description"]) for row in rows] == [
        ("", "a.example", "Op"),
        ("File", f"{MD5} : {SHA1}", "Op; Together with: FileItem/FileName is 'a.exe'"),
    ]
    assert {row["source"] for row in rows} == {"ACME"}
    assert rows[0]["tags"] == "APT0"
    assert (rows[0]["first_seen"], rows[0]["_row"], rows[0]["_pointer"]) == ("2014-03-18T20:23:23Z", 5, "dns")
    assert [row["code"] for row in rejects] == ["no-single-value", "negated-value", "unsupported-type"]


def test_an_openioc_1_1_definition(tmp_path):
    content = f"""<OpenIOC xmlns="http://openioc.org/schemas/OpenIOC_1.1" id="x">
<metadata><short_description>Op</short_description><authored_by>ACME</authored_by></metadata>
<criteria><Indicator operator="OR">{item("FileItem/Sha256sum", SHA256)}
{item("Network/UserAgent", "^M", "matches")}
{item("Network/UserAgent", "M", more='negate="true"')}</Indicator></criteria></OpenIOC>"""
    _, rows, rejects = read(tmp_path, content)
    assert [(row["type"], row["value"], row["source"]) for row in rows] == [("sha256", SHA256, "ACME")]
    assert [row["code"] for row in rejects] == ["no-single-value", "negated-value"]


NAMESPACES = " ".join(
    [
        'xmlns:stix="http://stix.mitre.org/stix-1" xmlns:cybox="http://cybox.mitre.org/cybox-2"',
        'xmlns:stixCommon="http://stix.mitre.org/common-1" xmlns:indicator="http://stix.mitre.org/Indicator-2"',
        'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:c="http://cybox.mitre.org/common-2"',
        'xmlns:m="http://data-marking.mitre.org/Marking-1"',
        *(
            f'xmlns:{name}="http://cybox.mitre.org/objects#{name}Object-2"'
            for name in ("File", "Address", "DomainName", "URI", "EmailMessage", "WinRegistryKey", "Mutex", "AS",
                         "Port", "HTTPSession", "Hostname")
        ),
    ]
)  # fmt: skip


def observable(properties, kind="X", ident="o", attributes="", around=""):
    inner = f'<cybox:Properties xsi:type="{kind}ObjectType" {attributes}>{properties}</cybox:Properties>'
    inner = f'<cybox:Object id="{ident}-object">{inner}</cybox:Object>'
    return f'<cybox:Observable id="{ident}" {around}>{inner}</cybox:Observable>'


def package(*parts, header=""):
    inner = f"<stix:STIX_Header>{header}</stix:STIX_Header>{''.join(parts)}"
    return f"<stix:STIX_Package {NAMESPACES}>{inner}</stix:STIX_Package>"


def hashes(*pairs, condition=""):
    return "<File:Hashes>" + "".join(
        f"<c:Hash><c:Type>{kind}</c:Type><c:Simple_Hash_Value {condition}>{value}</c:Simple_Hash_Value></c:Hash>"
        for kind, value in pairs
    ) + "</File:Hashes>"  # fmt: skip


@pytest.mark.parametrize(
    ("observed", "expected"),
    [
        (observable("<Address:Address_Value>192.0.2.1</Address:Address_Value>"), [("Address", "192.0.2.1")]),
        (observable("<Address:Address_Value>2001:db8::/32</Address:Address_Value>", attributes='category="ipv6-addr"'),
         [("CIDR", "2001:db8::/32")]),
        (observable("<Address:Address_Value>a@b.example</Address:Address_Value>", attributes='category="e-mail"'),
         [("EmailAddress", "a@b.example")]),
        (observable("<Address:Address_Value>00-11</Address:Address_Value>", attributes='category="mac"'),
         ["unsupported-type"]),
        (observable("<DomainName:Value>a.example</DomainName:Value>"), [("Host", "a.example")]),
        (observable("<Hostname:Hostname_Value>a.example</Hostname:Hostname_Value>"), [("Host", "a.example")]),
        (observable("<URI:Value>http://a.example/</URI:Value>", attributes='type="URL"'), [("URL", "http://a.example/")]),
        (observable("<URI:Value>a.example</URI:Value>", attributes='type="Domain Name"'), [("Host", "a.example")]),
        (observable("<Mutex:Name>m</Mutex:Name>"), [("Mutex", "m")]),
        (observable("<AS:Number>64496</AS:Number>"), [("ASN", "64496")]),
        (observable("<HTTPSession:HTTP><HTTPSession:User_Agent>M</HTTPSession:User_Agent></HTTPSession:HTTP>"),
         [("User Agent", "M")]),
        (observable("<WinRegistryKey:Key>a\\b</WinRegistryKey:Key><WinRegistryKey:Hive>HKEY_USERS</WinRegistryKey:Hive>"
                    "<WinRegistryKey:Values><WinRegistryKey:Value><WinRegistryKey:Name>n</WinRegistryKey:Name>"
                    "</WinRegistryKey:Value></WinRegistryKey:Values>"), [("Registry Key", "HKEY_USERS\\a\\b : n")]),
        (observable(f"<File:File_Name>a</File:File_Name>{hashes(('MD5', MD5), ('SHA256', SHA256), ('SSDEEP', 'x'))}"),
         [("File", f"{MD5} : {SHA256}")]),
        (observable("<File:File_Name>a.exe</File:File_Name>", "FileObj:File"), ["unsupported-type"]),
        (observable("<EmailMessage:Header><EmailMessage:To><Address:Address_Value>v@b.example</Address:Address_Value>"
                    "</EmailMessage:To><EmailMessage:From category='e-mail'><Address:Address_Value>a@b.example"
                    "</Address:Address_Value></EmailMessage:From><EmailMessage:Subject>s</EmailMessage:Subject>"
                    "</EmailMessage:Header>"), [("EmailAddress", "a@b.example"), ("Email Subject", "s")]),
        (observable('<DomainName:Value condition="Equals" apply_condition="ANY">a.example##comma##b.example'
                    "</DomainName:Value>"), [("Host", "a.example"), ("Host", "b.example")]),
        (observable('<DomainName:Value condition="Contains">a.ex</DomainName:Value>'), ["no-single-value"]),
        (observable('<DomainName:Value condition="DoesNotEqual">a.example</DomainName:Value>'), ["negated-value"]),
        (observable('<DomainName:Value condition="Equals" apply_condition="NONE">a.example</DomainName:Value>'),
         ["negated-value"]),
        (observable("<DomainName:Value>a.example</DomainName:Value>", around='negate="true"'), ["negated-value"]),
        (observable("<Port:Port_Value>445</Port:Port_Value>"), ["unsupported-type"]),
        (observable(""), ["unsupported-type"]),
        ("<cybox:Observable idref='o'/>", []),
        ('<cybox:Observable><cybox:Observable_Composition operator="AND">'
         + observable('<DomainName:Value condition="Equals">a.example</DomainName:Value>')
         + observable('<Port:Port_Value condition="Equals">445</Port:Port_Value>')
         + "<cybox:Observable idref='o'/></cybox:Observable_Composition></cybox:Observable>", [("Host", "a.example")]),
    ],
)  # fmt: skip
def test_observables(tmp_path, observed, expected):
    _, rows, rejects = read(tmp_path, package(f"<stix:Observables>{observed}</stix:Observables>"))
    assert [(row["type"], row["value"]) for row in rows] + [row["code"] for row in rejects] == expected


def test_what_an_indicator_says_holds_for_what_it_names_elsewhere(tmp_path):
    header = '<stix:Title>Report</stix:Title><stix:Handling><m:Marking color="AMBER"/></stix:Handling>'
    indicators = """<stix:Indicators>
<stix:Indicator id="i" timestamp="2017-06-28T19:07:09+02:00"><indicator:Title>C2</indicator:Title>
<indicator:Type>Domain Watchlist</indicator:Type><indicator:Observable idref="one"/>
<indicator:Producer><stixCommon:Identity><stixCommon:Name>CERT</stixCommon:Name></stixCommon:Identity></indicator:Producer>
<indicator:Confidence><stixCommon:Value>High</stixCommon:Value></indicator:Confidence></stix:Indicator>
<stix:Indicator><indicator:Valid_Time_Position><indicator:End_Time>2018-01-01T00:00:00Z</indicator:End_Time>
</indicator:Valid_Time_Position><indicator:Observable><cybox:Object idref="two-object"/></indicator:Observable>
</stix:Indicator>
</stix:Indicators><stix:TTPs><stix:TTP id="t"/></stix:TTPs>"""
    observables = "".join(
        observable(f"<DomainName:Value>{name}.example</DomainName:Value>", ident=name)
        for name in ("one", "two", "three")
    )
    feed, rows, rejects = read(
        tmp_path, package(f"<stix:Observables>{observables}</stix:Observables>", indicators, header=header)
    )
    assert feed.format == "stix1"
    kept = [
        (row["value"], row["description"], row["source"], row["tags"], row["confidence"], row["tlp"]) for row in rows
    ]
    assert kept == [
        ("one.example", "C2", "CERT", "Domain Watchlist", "85", "AMBER"),
        ("three.example", "Report", "", "", "", "AMBER"),
    ]
    assert [(row["raw"], row["code"], row["pointer"]) for row in rejects] == [("two.example", "expired", "two-object")]
    assert feed.notes == ["objects that are no indicators were not loaded: 1 TTP"]
    _, rows, rejects = read(
        tmp_path, package(f"<stix:Observables>{observables}</stix:Observables>", indicators), expired=True
    )
    assert (len(rows), rejects) == (3, [])


def test_of_several_indicators_of_one_observable_the_longest_valid_counts(tmp_path):
    def indicator(ident, until="", attributes=""):
        end = f"<indicator:Valid_Time_Position><indicator:End_Time>{until}</indicator:End_Time>" if until else ""
        end += "</indicator:Valid_Time_Position>" if until else ""
        return f'<stix:Indicator {attributes}>{end}<indicator:Observable idref="{ident}"/></stix:Indicator>'

    observables = "".join(
        observable(f"<DomainName:Value>{name}.example</DomainName:Value>", ident=name) for name in ("one", "two")
    )
    _, rows, rejects = read(
        tmp_path,
        package(
            indicator("one", "2018-01-01T00:00:00Z"),
            indicator("one"),
            indicator("one", "2019-01-01T00:00:00Z"),
            indicator("two", attributes='negate="true"'),
            f"<stix:Observables>{observables}</stix:Observables>",
        ),
    )
    assert [row["value"] for row in rows] == ["one.example"]
    assert [(row["raw"], row["code"]) for row in rejects] == [("two.example", "negated-value")]


LAUGHS = '<!DOCTYPE ioc [<!ENTITY a "ha">' + "".join(
    f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(9)
) + "]>"  # fmt: skip


@pytest.mark.parametrize(
    "content",
    [
        LAUGHS + "<ioc>&j;</ioc>",
        LAUGHS + '<ioc id="&j;"/>',
        '<!DOCTYPE ioc SYSTEM "http://192.0.2.1/x.dtd"><ioc/>',
        '<!DOCTYPE ioc [<!ENTITY f SYSTEM "file:///etc/passwd">]><ioc><short_description>&f;</short_description></ioc>',
        "<ioc>" + "<a>" * 400 + "</a>" * 400 + "</ioc>",
        "<ioc><definition>",
        "<ioc></ioc><ioc></ioc>",
        "<ioc>\x00</ioc>",
        "<ioc>&nbsp;</ioc>",
    ],
)
def test_documents_that_are_refused(tmp_path, content):
    with pytest.raises(FeedError) as caught:
        read(tmp_path, content, format="openioc")
    assert str(tmp_path) in caught.value.message


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-8-sig", "iso-8859-1"])
def test_every_encoding_that_xml_declares(tmp_path, encoding):
    declared = encoding.removesuffix("-sig")
    content = ioc(item("Email/Subject", "Größe")).replace('encoding="utf-8"', f'encoding="{declared}"')
    _, rows, _ = read(tmp_path, content.encode(encoding))
    assert [row["value"] for row in rows] == ["Größe"]


def test_a_part_that_does_not_end_is_refused_before_memory_does(tmp_path, monkeypatch):
    monkeypatch.setattr("tcetl.feeds.source.text_pieces", lambda stream: iter(lambda: stream.read(1 << 16), b""))
    monkeypatch.setattr("tcetl.feeds.xmlstream._LARGEST", 1 << 18)
    content = ioc(*(item("Network/DNS", f"h{n}.example") for n in range(10_000)))
    with pytest.raises(FeedError, match="has a part of more than"):
        read(tmp_path, content)
    parts = "".join(
        observable(f"<DomainName:Value>h{n}.example</DomainName:Value>", ident=f"o{n}") for n in range(5_000)
    )
    _, rows, _ = read(tmp_path, package(f"<stix:Observables>{parts}</stix:Observables>"))
    assert len(rows) == 5_000
