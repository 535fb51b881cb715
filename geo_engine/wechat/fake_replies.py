"""Looks at the answer to a push as WeChat does: nothing, one well-formed reply, or "service unavailable".

Apart from what writes replies on purpose: a mistake there must not be repeated here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NoReturn
from xml.etree import ElementTree

from geo_engine.wechat.crypto import CipherError, Sealer, same_text, signature
from geo_engine.wechat.fake_model import CallbackTarget, PushMode
from geo_engine.wechat.fake_xml import ACCOUNT, Pushed

__all__ = ["BadReply", "Reply", "check_reply"]

_MOST_TEXT_BYTES: Final = 2_048
_KINDS: Final = frozenset({"text", "image", "voice", "video", "music", "news", "transfer_customer_service"})
_NEEDS: Final = {"text": "Content", "image": "Image/MediaId", "voice": "Voice/MediaId", "video": "Video/MediaId"}


class BadReply(Exception):  # noqa: N818 - what the person sees: the service is unavailable
    """The answer is none; the text says what was found and expected. ``errcode`` where WeChat names one."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A well-formed reply: its type, and the texts the person sees."""

    kind: str
    texts: dict[str, str]


def check_reply(body: bytes, pushed: Pushed, target: CallbackTarget, sealer: Sealer | None) -> Reply | None:
    """Return the reply in the answer to a push, None when the account said nothing (no bytes, or ``success``).

    Raises:
        BadReply: it is neither.
    """
    if body in {b"", b"success"}:
        return None
    root = _parsed(body)
    sealed = root.findtext("Encrypt")
    if sealed is not None and sealer is not None and target.pushes is not PushMode.PLAIN:
        root = _parsed(_opened(root, sealed, target.token, sealer))
    elif target.pushes is PushMode.SAFE or sealed is not None:
        found = "a plain reply" if sealed is None else "a sealed reply"
        _refuse(f"found {found} to a push in {target.pushes} mode")
    if not pushed.may_be_answered:
        _refuse(f"found a reply to {pushed.kind}, expected success or nothing")
    _check_head(root, pushed)
    return _checked(root)


def _parsed(body: bytes) -> ElementTree.Element:
    if b"<!DOCTYPE" in body or b"<!ENTITY" in body:
        _refuse("found a DOCTYPE, expected none")
    try:
        root = ElementTree.fromstring(body)  # noqa: S314 - of the account under test; no declaration gets here
    except ElementTree.ParseError as error:
        _refuse(f"found {body[:60]!r}, expected success, nothing or XML ({error})")
    if root.tag != "xml":
        _refuse(f"found <{root.tag}>, expected <xml>")
    twice = [child.tag for child in root if len(root.findall(child.tag)) > 1]
    if twice:
        _refuse(f"found {twice[0]} more than once, expected it once")
    return root


def _opened(root: ElementTree.Element, sealed: str, token: str, sealer: Sealer) -> bytes:
    timestamp, nonce = root.findtext("TimeStamp") or "", root.findtext("Nonce") or ""
    if not timestamp.isdigit() or not nonce:
        _refuse("found a sealed reply without TimeStamp or Nonce, expected both")
    if not same_text(signature(token, timestamp, nonce, sealed), root.findtext("MsgSignature") or ""):
        _refuse("found a MsgSignature that does not fit")
    try:
        return sealer.open(sealed).message
    except CipherError as error:
        _refuse(str(error))


def _check_head(root: ElementTree.Element, pushed: Pushed) -> None:
    expected = {"ToUserName": pushed.open_id, "FromUserName": ACCOUNT}
    for name, value in expected.items():
        if root.findtext(name) != value:
            _refuse(f"{name}: found {root.findtext(name)!r}, expected {value!r}")
    created = root.findtext("CreateTime") or ""
    if not created.isdigit() or len(created) > 10:
        _refuse(f"CreateTime: found {created!r}, expected seconds")
    if root.findtext("MsgType") not in _KINDS:
        _refuse(f"MsgType: found {root.findtext('MsgType')!r}, expected one of {', '.join(sorted(_KINDS))}")


def _checked(root: ElementTree.Element) -> Reply:
    kind = root.findtext("MsgType") or ""
    if kind == "news":
        return Reply(kind, _article(root))
    need = _NEEDS.get(kind)
    value = "" if need is None else root.findtext(need) or ""
    if need is not None and not value:
        _refuse(f"{need}: found nothing, expected what is to be shown")
    if kind == "text" and len(value.encode()) > _MOST_TEXT_BYTES:
        _refuse(f"Content: found {len(value.encode())} bytes, expected at most {_MOST_TEXT_BYTES} (45002)")
    return Reply(kind, {kind: value} if need is not None else {})


def _article(root: ElementTree.Element) -> dict[str, str]:
    items = root.findall("Articles/item")
    if len(items) != 1 or root.findtext("ArticleCount") != "1":
        _refuse(f"Articles: found {len(items)} articles, expected one (45008)")
    found = {child.tag: child.text or "" for child in items[0]}
    if not found.get("Title") or not found.get("Url", "").startswith(("http://", "https://")):
        _refuse("Articles: found an article without Title or web address, expected both")
    return {"text": found["Title"], "url": found["Url"]}


def _refuse(problem: str) -> NoReturn:
    raise BadReply(problem)
