"""A process with a relay and nothing else, for tests of several on one store.

``python -m tests.faults.relay_process STORE API_BASE`` works until its input ends, then prints what it sent as JSON.
"""

from __future__ import annotations

import json
import sys

from api.clocks import wall_clock_ms
from api.workers.relay import Relay, RelaySettings
from geo_engine.store.open import open_store
from geo_engine.wechat.channels import Account
from geo_engine.wechat.client import WeChatApi
from geo_engine.wechat.fake import FakeSettings
from geo_engine.wechat.sender import ChannelSender
from geo_engine.wechat.template import RESTRICTION_TEMPLATE

LEASE_S = 4.0


def say(line: str) -> None:
    """Tell the test something, at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main(store_url: str, api_base: str) -> None:
    """Relay until the input ends."""
    account, store = FakeSettings(), open_store(store_url)
    api = WeChatApi(account.app_id, account.app_secret, api_base, timeout_s=3.0, clock=wall_clock_ms, shelf=store)
    sender = ChannelSender(api, store, Account(RESTRICTION_TEMPLATE), wall_clock_ms)
    relay = Relay(store, sender, wall_clock_ms, settings=RelaySettings(lease_s=LEASE_S, idle_s=0.02))
    relay.start()
    say("ready")
    sys.stdin.read()
    relay.stop(0)
    say(json.dumps({"relay": relay.counts(), "sender": sender.counts()}))
    store.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
