"""Addresses and secrets as settings give them."""

from __future__ import annotations

import pytest

from api.settings import Settings
from geo_engine.errors import ConfigurationError
from geo_engine.webhooks.endpoint import read_endpoints

SECRET, OTHER = "whsec_" + "YWFh" * 8, "whsec_" + "YmJi" * 8


def test_each_address_has_its_secrets_the_current_one_first() -> None:
    one, two = read_endpoints("https://a.cn/x?key=k https://b.cn", f"{SECRET},{OTHER} {OTHER}")
    assert [len(found.secrets) for found in (one, two)] == [2, 1]
    assert one.name.startswith("a.cn-")
    # An address may hold a key, so no text about an endpoint shows it.
    assert "key" not in f"{one!r}{one.name}"
    assert "YWFh" not in repr(one)
    assert read_endpoints("", "") == []


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/x", "http://localhost/x", "http://[::1]:80/x"])
def test_plain_http_is_for_this_machine(url: str) -> None:
    assert len(read_endpoints(url, SECRET)) == 1


@pytest.mark.parametrize(
    "url",
    [
        *("http://a.cn/x", "ftp://a.cn", "a.cn", "https:///x", "https://u:p@a.cn", "https://a.cn/#f", "https://[x/"),
        *("https://a.cn:x/", "http://127.0.0.1.a.cn/"),
    ],
)
def test_an_address_events_must_not_leave_for_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="expected https://host/path"):
        read_endpoints(url, SECRET)


@pytest.mark.parametrize(
    ("urls", "secrets", "expected"),
    [
        ("https://a.cn", "", "found 1 addresses and 0 secrets"),
        ("https://a.cn https://b.cn", SECRET, "found 2 addresses and 1 secrets"),
        ("", SECRET, "found 0 addresses and 1 secrets"),
        ("https://a.cn https://a.cn", f"{SECRET} {OTHER}", "found an address twice"),
        ("https://a.cn", f"{SECRET},", "webhook secret: found"),
    ],
)
def test_addresses_and_secrets_that_do_not_fit_are_refused(urls: str, secrets: str, expected: str) -> None:
    with pytest.raises(ConfigurationError, match=expected):
        read_endpoints(urls, secrets)


def test_the_settings_read_them_and_refuse_half_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEO_ENGINE_WEBHOOK_URLS", "https://a.cn/x")
    with pytest.raises(ValueError, match="GEO_ENGINE_WEBHOOK_SECRETS"):
        Settings()
    monkeypatch.setenv("GEO_ENGINE_WEBHOOK_SECRETS", SECRET)
    assert len(Settings().webhook_endpoints) == 1
    assert SECRET not in repr(Settings())
    monkeypatch.setenv("GEO_ENGINE_WEBHOOK_SOURCE", "two words")
    with pytest.raises(ValueError, match="webhook_source"):
        Settings()
