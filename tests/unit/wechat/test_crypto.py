"""Signature and cipher: Tencent's examples pass both ways, and nothing else opens."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geo_engine.errors import ConfigurationError
from geo_engine.wechat.crypto import CipherError, Opened, Sealer, decode_aes_key, page_signature, same_text, signature
from tests.examples import examples
from tests.unit.wechat.vectors import rows

APP = "wx2c2769f8efd9abc2"
KEY = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
OTHER = "kWxPEV2UEDyxWpmPdKC3F4dgPDmOvfKX1HGnEUDS1aR"
RANDOM = b"0123456789abcdef"


@pytest.mark.parametrize("vector", rows("signature_get"))
def test_a_signature_is_judged_as_the_vector_says(vector: dict[str, Any]) -> None:
    expected = signature(vector["token"], vector["timestamp"], vector["nonce"])
    assert same_text(expected, vector["signature"]) is vector["valid"]


@pytest.mark.parametrize("vector", rows("aes_ok"))
def test_a_sealed_text_opens_and_seals_to_the_same(vector: dict[str, Any]) -> None:
    sealer = Sealer(vector["appid"], [vector["encoding_aes_key"]])
    message = vector["plaintext"].encode()
    signed = signature(vector["token"], vector["timestamp"], vector["nonce"], vector["encrypt"])
    assert signed == vector["msg_signature"]
    assert sealer.open(vector["encrypt"]) == Opened(message, 0)
    assert sealer.seal(message, vector["random16"].encode()) == vector["encrypt"]


@pytest.mark.parametrize("vector", rows("aes_reject"))
def test_a_wrong_sealed_text_is_refused_without_a_reason(vector: dict[str, Any]) -> None:
    signed = signature(vector["token"], vector["timestamp"], vector["nonce"], vector["encrypt"])
    assert signed == vector["msg_signature"]
    with pytest.raises(CipherError) as refused:
        Sealer(vector["appid"], [vector["encoding_aes_key"]]).open(vector["encrypt"])
    assert str(refused.value) == str(CipherError())
    assert refused.value.__cause__ is None


@pytest.mark.parametrize("vector", rows("jssdk"))
def test_a_page_is_signed_as_tencent_shows_and_its_fragment_does_not_count(vector: dict[str, Any]) -> None:
    given = (vector["jsapi_ticket"], vector["noncestr"], int(vector["timestamp"]))
    assert page_signature(*given, vector["url"]) == vector["signature"]
    assert page_signature(*given, vector["url"] + "#part") == vector["signature"]
    assert page_signature(*given, vector["url"] + "&more=1") != vector["signature"]


def sealed_with(plain: bytes) -> str:
    """Seal a whole plaintext of our own making, by trimming what ``seal`` puts around a message."""
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    key = decode_aes_key(KEY)
    encryptor = Cipher(algorithms.AES256(key), modes.CBC(key[:16])).encryptor()
    return base64.b64encode(encryptor.update(plain) + encryptor.finalize()).decode()


def packed(message: bytes, length: int | None = None, fill: bytes | None = None) -> bytes:
    plain = RANDOM + (len(message) if length is None else length).to_bytes(4, "big") + message + APP.encode()
    missing = 32 - len(plain) % 32
    return plain + (bytes([missing]) * missing if fill is None else fill * missing)


@pytest.mark.parametrize(
    "plain",
    [
        packed(b"hello", fill=b"\0"),
        packed(b"hello", fill=b"\xff"),
        packed(b"hello", length=4),
        packed(b"hello", length=2**32 - 1),
        b"\x20" * 32,
        b"\x01" * 32,
        b"\x00" * 64,
    ],
)
def test_padding_and_length_are_checked(plain: bytes) -> None:
    sealer = Sealer(APP, [KEY])
    assert sealer.open(sealed_with(packed(b"hello"))).message == b"hello"
    with pytest.raises(CipherError):
        sealer.open(sealed_with(plain))


def test_the_key_before_still_opens_and_is_named() -> None:
    before, both = Sealer(APP, [OTHER]), Sealer(APP, [KEY, OTHER])
    assert both.open(before.seal(b"x", RANDOM)) == Opened(b"x", 1)
    assert both.open(Sealer(APP, [KEY]).seal(b"x", RANDOM)) == Opened(b"x", 0)
    assert before.open(both.seal(b"x", RANDOM, key=1)) == Opened(b"x", 0)


def test_a_key_that_was_given_up_no_longer_opens() -> None:
    with pytest.raises(CipherError):
        Sealer(APP, [KEY]).open(Sealer(APP, [OTHER]).seal(b"x", RANDOM))


@examples(200)
@given(st.binary(max_size=300))
def test_whatever_was_sealed_opens(message: bytes) -> None:
    sealer = Sealer(APP, [KEY])
    assert sealer.open(sealer.seal(message, RANDOM)).message == message


@examples(300)
@given(st.one_of(st.text(max_size=200), st.binary(max_size=160).map(lambda raw: base64.b64encode(raw).decode())))
def test_any_other_text_is_refused_with_the_one_error(text: str) -> None:
    with pytest.raises(CipherError):
        Sealer(APP, [KEY, OTHER]).open(text)


@pytest.mark.parametrize("key", ["", KEY[:-1], KEY + "=", KEY[:-1] + "é", KEY[:-1] + "-"])
def test_a_malformed_key_is_refused_and_not_shown(key: str) -> None:
    with pytest.raises(ConfigurationError, match="expected 43") as refused:
        decode_aes_key(key)
    assert not key or key not in str(refused.value)


def test_an_account_needs_an_app_id_a_key_and_sixteen_random_bytes() -> None:
    for app_id, keys in (("", [KEY]), (APP, [])):
        with pytest.raises(ConfigurationError):
            Sealer(app_id, keys)
    with pytest.raises(ValueError, match="expected 16"):
        Sealer(APP, [KEY]).seal(b"x", b"short")


def test_a_sealer_shows_no_key() -> None:
    assert KEY not in repr(Sealer(APP, [KEY]))
