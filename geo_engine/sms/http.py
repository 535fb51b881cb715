"""A sender through an SMS gateway: one POST of JSON a code. Vendors with a format of their own need a small relay."""

from __future__ import annotations

import logging
from typing import Final
from urllib.parse import urlsplit

import requests

from geo_engine.errors import ConfigurationError
from geo_engine.model import Language
from geo_engine.people.codes import code_text

__all__ = ["HttpSms"]

_log: Final = logging.getLogger(__name__)
_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})


class HttpSms:
    """Posts ``{"phone", "code", "text", "language"}`` with the header ``Authorization: Bearer <token>``.

    A status 2xx means taken; anything else, no answer within the time limit included, means not taken: the person asks
    again after the pause of the limits. The answer's body is not read. Phone, code and token are in no log line; the
    address may be, at debug level by the HTTP library, so a secret belongs into the token.

    Args:
        url: address of the gateway: https, or http on this machine.
        token: the secret for it, None = none.
        timeout_s: seconds for connecting and for each pause of the answer.

    Raises:
        ConfigurationError: ``url`` is not such an address.
    """

    def __init__(self, url: str, token: str | None, *, timeout_s: float = 5.0) -> None:
        parts = urlsplit(url)
        local = parts.hostname in _LOOPBACK
        if not parts.hostname or parts.scheme not in ({"http", "https"} if local else {"https"}):
            found = f"{parts.scheme}://{parts.hostname}"
            message = f"SMS gateway: found {found!r}, expected an https address (http only on this machine)"
            raise ConfigurationError(message)
        self._url = url
        self._headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        self._timeout_s = timeout_s
        self._direct = local

    def send_code(self, phone: str, code: str, language: Language) -> bool:
        """Post a code; see ``SmsSender.send_code``."""
        body = {"phone": phone, "code": code, "text": code_text(code, language), "language": language.value}
        try:
            # A session of its own: codes are rare, and a session is not for several threads.
            with requests.Session() as session:
                session.trust_env = not self._direct
                answer = session.post(
                    self._url,
                    json=body,
                    headers=self._headers,
                    timeout=self._timeout_s,
                    allow_redirects=False,
                    stream=True,
                )
                status = answer.status_code
                answer.close()
        except requests.RequestException as error:
            # The error's own text holds the address.
            _log.warning("the SMS gateway gave no answer (%s)", type(error).__name__)
            return False
        if not 200 <= status < 300:
            _log.warning("the SMS gateway answered with status %d", status)
            return False
        return True
