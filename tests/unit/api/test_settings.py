"""Settings: read from the environment, frozen, refused when they cannot work together."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from api.settings import Settings
from geo_engine.wechat.template import DEFAULT_FIELDS


def test_settings_come_from_the_environment_with_the_prefix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEO_ENGINE_PORT", "9123")
    monkeypatch.setenv("GEO_ENGINE_COOLDOWN_S", "60")
    settings = Settings()
    assert (settings.port, settings.cooldown_s) == (9123, 60.0)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "70000"),
        ("LOOKAHEAD_S", "1"),
        ("PING_DATUM", "mars"),
        ("QUIET_HOURS", "at night"),
        ("DAILY_QUOTA", "-1"),
        ("WECHAT_TEMPLATE_FIELDS", "thing1=zones"),
    ],
)
def test_impossible_value_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"GEO_ENGINE_{name}", value)
    with pytest.raises(ValidationError, match=name.lower()):
        Settings()


def test_fields_of_the_template_are_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings().wechat_template_fields == DEFAULT_FIELDS
    monkeypatch.setenv("GEO_ENGINE_WECHAT_TEMPLATE_FIELDS", "thing3=zone, phrase5=topic")
    assert Settings().wechat_template_fields == "thing3=zone, phrase5=topic"


def test_half_an_account_is_refused_and_a_whole_one_accepted() -> None:
    with pytest.raises(ValidationError, match="expected both or none"):
        Settings(wechat_app_id="wx1")
    assert Settings(wechat_app_id="wx1", wechat_app_secret="s").has_account  # noqa: S106 - made up


def test_secret_is_not_shown() -> None:
    settings = Settings(wechat_app_id="wx1", wechat_app_secret="hush-hush")  # noqa: S106 - made up
    assert "hush-hush" not in repr(settings)


def test_settings_are_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Settings().port = 1


def test_misspelt_variable_is_refused_with_the_name_that_was_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEO_ENGINE_WECHAT_APPID", "wx1")
    with pytest.raises(ValidationError, match="expected GEO_ENGINE_WECHAT_APP_ID"):
        Settings()


ACCOUNT = {"wechat_app_id": "wx1", "wechat_app_secret": "hush"}


def test_a_binding_page_for_real_people_needs_a_gateway_for_its_codes() -> None:
    with pytest.raises(ValidationError, match="expected a gateway for the codes"):
        Settings(**ACCOUNT, public_url="https://traffic.example.cn")
    page = Settings(**ACCOUNT, public_url="https://traffic.example.cn", sms_url="https://sms.example.cn/send")
    assert page.public_url == "https://traffic.example.cn"


@pytest.mark.parametrize("url", ["traffic.example.cn", "ftp://x", "https://x/path", "https://x?y"])
def test_a_public_address_is_a_scheme_and_a_host(url: str) -> None:
    with pytest.raises(ValidationError, match="expected a scheme and a host"):
        Settings(public_url=url)


@pytest.mark.parametrize("name", ["wechat_api_base", "wechat_oauth_base", "wechat_qr_base"])
@pytest.mark.parametrize(
    "url", ["", "mp.weixin.qq.com", "ftp://mp.weixin.qq.com", "https://", "https://x?y", "https://x#y"]
)
def test_an_address_of_wechat_that_is_none_is_refused_and_one_taken(name: str, url: str) -> None:
    with pytest.raises(ValidationError, match=rf"{name}\n.*expected a scheme and a host"):
        Settings(**{name: url})
    assert getattr(Settings(**{name: "http://127.0.0.1:8901"}), name) == "http://127.0.0.1:8901"


def test_a_short_identity_secret_is_refused_and_a_long_one_not_shown() -> None:
    with pytest.raises(ValidationError, match="identity_secret"):
        Settings(identity_secret="short")  # noqa: S106 - made up
    assert "long-enough-secret" not in repr(Settings(identity_secret="long-enough-secret"))  # noqa: S106 - made up


KEY = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"wechat_token": "t"}, "GEO_ENGINE_WECHAT_AES_KEY"),
        ({"wechat_token": ""}, "an empty GEO_ENGINE_WECHAT_TOKEN"),
        ({"wechat_token": "t", "wechat_aes_key": KEY}, "GEO_ENGINE_WECHAT_APP_ID"),
        ({**ACCOUNT, "wechat_token": "t", "wechat_aes_key": KEY[1:]}, "expected 43"),
        ({**ACCOUNT, "wechat_token": "t", "wechat_aes_key": KEY, "wechat_aes_key_previous": "x"}, "expected 43"),
        ({**ACCOUNT, "wechat_aes_key_previous": KEY}, "GEO_ENGINE_WECHAT_AES_KEY beside it"),
    ],
)
def test_a_callback_that_could_not_work_is_refused_without_its_secrets(values: dict[str, str], expected: str) -> None:
    with pytest.raises(ValidationError, match=expected) as refused:
        Settings(**values)
    assert KEY[1:] not in str(refused.value)


@pytest.mark.parametrize(
    ("values", "keys"),
    [
        ({"wechat_token": "t", "wechat_plaintext": True}, []),
        ({**ACCOUNT, "wechat_token": "t", "wechat_aes_key": KEY}, [KEY]),
        (
            {**ACCOUNT, "wechat_token": "t", "wechat_aes_key": KEY, "wechat_aes_key_previous": KEY[::-1]},
            [KEY, KEY[::-1]],
        ),
    ],
)
def test_a_callback_that_can_work_is_accepted(values: dict[str, object], keys: list[str]) -> None:
    assert Settings(**values).wechat_aes_keys == keys


def test_subscription_templates_are_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings().one_time_templates == Settings().long_term_templates == ()
    monkeypatch.setenv("GEO_ENGINE_WECHAT_ONE_TIME_TEMPLATES", "a: thing1=zone; b: thing1=zone")
    monkeypatch.setenv("GEO_ENGINE_WECHAT_LONG_TERM_TEMPLATES", "c: thing1=zone")
    assert [one.template_id for one in Settings().one_time_templates] == ["a", "b"]
    assert [one.template_id for one in Settings().long_term_templates] == ["c"]


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"wechat_one_time_templates": "a"}, "a colon and the fields"),
        ({"wechat_long_term_templates": "a: thing1=zones"}, "expected the key of a field"),
        (
            {"wechat_one_time_templates": "a: thing1=zone", "wechat_long_term_templates": "a: thing1=zone"},
            "found the template a in GEO_ENGINE_WECHAT_ONE_TIME_TEMPLATES and GEO_ENGINE_WECHAT_LONG_TERM_TEMPLATES",
        ),
        (
            {"wechat_template_id": "a", "wechat_one_time_templates": "a: thing1=zone"},
            "found the template a in GEO_ENGINE_WECHAT_TEMPLATE_ID and",
        ),
    ],
)
def test_subscription_templates_that_cannot_be_are_refused(values: dict[str, str], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        Settings(**values)


DOOR = {
    "role": "door",
    "wechat_app_id": "wx1",
    "wechat_app_secret": "s",
    "identity_secret": "a secret of sixteen",
}


def test_a_door_shares_account_store_and_secret_with_the_engine() -> None:
    assert Settings(**DOOR).role == "door"  # type: ignore[arg-type]
    assert Settings().role == "engine"


@pytest.mark.parametrize(
    ("without", "said"),
    [
        ({"wechat_app_id": None, "wechat_app_secret": None}, "WECHAT_APP_ID"),
        ({"identity_secret": None}, "IDENTITY_SECRET"),
        ({"store": "memory:"}, "store in memory"),
    ],
)
def test_a_door_that_could_share_nothing_is_refused(without: dict[str, str | None], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Settings(**DOOR | without)  # type: ignore[arg-type]
