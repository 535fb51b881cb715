"""The page of the fake server."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from geo_engine.wechat.fake import Delivery
from geo_engine.wechat.fake_page import render_page
from geo_engine.wechat.template import RESTRICTION_TEMPLATE

HOSTILE = '<script>alert("x")</script><img src=x onerror=1>&amp;'


class Tags(HTMLParser):
    """Collects the tags, attributes and text a browser would see."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag."""
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        """Note a text."""
        self.text.append(data)


def delivery(number: int, open_id: str, zone: str) -> Delivery:
    return Delivery(number, open_id, 1_793_678_400_000, "t", {"thing1": zone, "extra9": zone}, "")


def read(page: str) -> Tags:
    tags = Tags()
    tags.feed(page)
    return tags


def test_hostile_texts_are_shown_as_text() -> None:
    seen = read(render_page([delivery(1, HOSTILE, HOSTILE)], (RESTRICTION_TEMPLATE,)))
    assert not {"script", "img"} & seen.tags
    assert "onerror" not in seen.attributes
    assert seen.text.count(HOSTILE) == 3


def test_the_page_asks_for_nothing_outside() -> None:
    page = render_page([delivery(1, "o1", "桥")], (RESTRICTION_TEMPLATE,))
    assert re.findall(r"(?:src|href|url|//)", page) == []


def test_the_person_written_to_last_comes_first() -> None:
    page = render_page([delivery(1, "first", "桥"), delivery(2, "second", "环")], (RESTRICTION_TEMPLATE,))
    assert page.index("second") < page.index("first")
    assert "区域 Zone" in page
    assert "12:00:00" in page


def test_an_empty_page_says_so_in_both_languages() -> None:
    assert "还没有消息 · No message yet" in render_page([], ())
