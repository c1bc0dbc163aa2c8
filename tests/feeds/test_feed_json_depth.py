"""The depth of a JSON document is known before it is parsed, wherever it is cut into pieces."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcetl.errors import FeedError
from tcetl.feeds.jsondepth import shallow

TEXTS = st.text(st.sampled_from('[]{}"\\a,:é'), max_size=12)
DOCUMENTS = st.recursive(
    TEXTS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4), max_leaves=20
)


def depth_of(document):
    inner = document.values() if isinstance(document, dict) else document if isinstance(document, list) else None
    return 0 if inner is None else 1 + max(map(depth_of, inner), default=0)


def pieces(content, cuts):
    edges = sorted({0, len(content), *(cut % (len(content) + 1) for cut in cuts)})
    return [content[start:end] for start, end in pairwise(edges)]


@given(DOCUMENTS, st.lists(st.integers(0, 500), max_size=12), st.integers(0, 5))
def test_depth_at_every_cut(document, cuts, allowed):
    from tcetl.feeds import jsondepth

    content = json.dumps(document, ensure_ascii=False).encode()
    parts = pieces(content, cuts)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jsondepth, "_DEEPEST", allowed)
        if depth_of(document) > allowed:
            with pytest.raises(FeedError, match="is nested more than"):
                list(shallow(parts, "feed"))
        else:
            assert list(shallow(parts, "feed")) == parts


def test_a_backslash_at_a_cut_escapes_what_follows():
    content = json.dumps({'a\\"' + "[" * 11 + "\\": 1}).encode()
    for cut in range(len(content)):
        for other in range(cut, len(content)):
            assert list(shallow(pieces(content, [cut, other]), "feed"))
