"""Free text and Markdown: what an author means as an indicator is found with its place, and nothing else is."""

import pytest

from tcetl.errors import FeedError
from tcetl.feeds import open_feed
from tcetl.feeds.extract import candidates

MD5, SHA1, SHA256 = "d41d8cd98f00b204e9800998ecf8427e", "a" * 39 + "1", "b" * 63 + "2"


def read(folder, text, **options):
    """Values with their pointers, and refused ones with theirs."""
    path = folder / "report.txt"
    path.write_text(text)
    feed = open_feed(path, format="report", **options)
    taken, refused = [], []
    for batch in feed.batches():
        taken += batch.frame.select("value", "_pointer").iter_rows()
        refused += [(one["raw"], one["pointer"]) for one in batch.rejects.to_pylist()]
    return taken, refused


def found(line):
    return [(one.type, one.text) for one in candidates(line)]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("C2 was evil[.]example, then b(dot)example", [("domain", "evil[.]example"), ("domain", "b(dot)example")]),
        ("at evil [.] com port 443", [("domain", "evil [.] com")]),
        ("see hxxps://a[.]example/x?y=(1)&z=[2]).", [("url", "hxxps://a[.]example/x?y=(1)&z=[2]")]),
        ("(hxxp[:]//a.example/b.exe)", [("url", "hxxp[:]//a.example/b.exe")]),
        ("`hxxp://203.0.113[.]7:8080/a`; ", [("url", "hxxp://203.0.113[.]7:8080/a")]),
        ("[text](https://a.example/x) and [https://b.example/](https://b.example/)",
         [("url", "https://a.example/x"), ("url", "https://b.example/"), ("url", "https://b.example/")]),
        ("198.51.100[.]7:443 and 198.51.100.0/24", [("ip", "198.51.100[.]7:443"), ("cidr", "198.51.100.0/24")]),
        ("2001[:]db8[:]1[:]2::5 2001:db8::/32", [("ip", "2001[:]db8[:]1[:]2::5"), ("cidr", "2001:db8::/32")]),
        ("mail jane[.]doe[@]evil[.]example!", [("email", "jane[.]doe[@]evil[.]example")]),
        ("bob(at)example.com", [("email", "bob(at)example.com")]),
        (f"{MD5}, {SHA1.upper()}.", [("file", MD5), ("file", SHA1.upper())]),
        ("a.example[.]com/path/x.rar", [("url", "a.example[.]com/path/x.rar")]),
        ("traffic to AS64496 (x)", [("asn", "AS64496")]),
        (r"key `HKCU\Software\Windows NT\Run` set", [("registry_key", r"HKCU\Software\Windows NT\Run")]),
        ("bücher[.]example тест[.]рф", [("domain", "bücher[.]example"), ("domain", "тест[.]рф")]),
        ("恶意域名evil[.]com。", [("domain", "evil[.]com")]),
        ("evil[.]coin", [("domain", "evil[.]coin")]),
        ("dropped as setup[.]exe", [("domain", "setup[.]exe")]),
    ],
)  # fmt: skip
def test_what_is_a_candidate(line, expected):
    assert found(line) == expected


@pytest.mark.parametrize(
    "line",
    [
        "Chrome 115.0.5790.170, version 10.0.0.1, v1.2.3.4 and Section 1.2.3.4",
        "chapter 1.2.3.4.5 and 999.1.1.1 and 1.2.3",
        "setup.exe, report.docx, invoice_12.01.2020.doc and index.php",
        r"C:\Windows\Microsoft.NET\Framework\a.b and \\server\share.com\x",
        "/usr/local/lib/python.so and ./run.sh",
        "System.Net.WebClient, ActiveXObject.Create and std::vector a::b",
        "Trojan.Win32.Agent at 12:30:45 on 00:1a:2b:3c:4d:5e",
        "e.g. this, i.e. that, etc.The end",
        f"{MD5}a g{MD5} {MD5[:31]} {SHA256}{SHA256}",
        f"{MD5}.exe",
        "The file 'x' was 12.5 MB, cost 3.50 and took 1.5.",
        "::1 and fe80::1%eth0 or ::",
    ],
)
def test_what_is_none(line):
    assert [one for one in found(line) if one[1] not in ("::1", "::")] == []


REPORT = f"""# Campaign

See https://vendor.example/blog for more. The victim visited login.microsoft.com.

## Servers

```
203.0.113.7
evil.com
curl http://evil.com/x.sh
```

| Host | Hashes | Note |
|------|--------|------|
| `bad.org` | {MD5} {SHA256} | seen by github.com users |
| worse.net<br>worst.net |  | |

## References
- https://other.example/report
"""


def test_markdown_without_defanging(tmp_path):
    taken, refused = read(tmp_path, REPORT)
    assert taken == [
        ("203.0.113.7", "8:1"),
        ("evil.com", "9:1"),
        ("bad.org", "15:4"),
        (f"{MD5} : {SHA256}", "15:15"),
        ("worse.net", "16:3"),
        ("worst.net", "16:16"),
    ]
    assert [value for value, _ in refused] == [
        "https://vendor.example/blog", "login.microsoft.com", "http://evil.com/x.sh", "github.com",
        "https://other.example/report",
    ]  # fmt: skip


def test_the_option_bare(tmp_path):
    everything = 11
    assert [len(part) for part in read(tmp_path, REPORT, bare="always")] == [everything, 0]
    assert [value for value, _ in read(tmp_path, REPORT, bare="never")[0]] == [f"{MD5} : {SHA256}"]
    with pytest.raises(FeedError, match="'sometimes' is no choice") as caught:
        read(tmp_path, REPORT, bare="sometimes")
    assert "listed, always, never" in caught.value.hint


LIST = """DOMAINS USED:

- evil.com
* 203.0.113.7 (Moscow)
1. Domain: bad.org, worse.net
- the host good.org is fine
- run.sh
"""


def test_items_of_lists_count_unless_the_author_defangs(tmp_path):
    taken, refused = read(tmp_path, LIST)
    assert [value for value, _ in taken] == ["evil.com", "203.0.113.7", "bad.org", "worse.net"]
    assert [value for value, _ in refused] == ["good.org", "run.sh"]
    taken, refused = read(tmp_path, LIST + "- a[.]example\n")
    assert [value for value, _ in taken] == ["a[.]example"]
    assert len(refused) == 6


def test_descriptions_say_where_a_value_stood(tmp_path):
    path = tmp_path / "report.md"
    path.write_text("## Loader\n```\n203.0.113.7\n```\nC2 SERVERS:\n- evil[.]com - 203.0.113[.]8\n")
    frame = next(iter(open_feed(path).batches())).frame
    assert frame.select("value", "type", "description").rows() == [
        ("203.0.113.7", "ip", "Loader"),
        ("evil[.]com", "domain", "C2 SERVERS"),
        ("203.0.113[.]8", "ip", "C2 SERVERS"),
    ]


def test_markdown_is_told_from_lists_and_tables(tmp_path):
    for text in ("```\n203.0.113.7\n203.0.113.8\n```\n", "| IP |\n|----|\n| 203.0.113.7 |\n"):
        path = tmp_path / "feed.txt"
        path.write_text(text)
        assert open_feed(path).format == "report"


def test_a_text_without_indicators_says_so(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("Dear all,\nnothing happened today.\n")
    with pytest.raises(FeedError, match=r"no line of .* holds an indicator"):
        list(open_feed(path).batches())
