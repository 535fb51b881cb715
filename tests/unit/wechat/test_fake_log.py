"""The fake server's log on disk."""

from __future__ import annotations

import json
from pathlib import Path

from geo_engine.wechat.fake import Delivery
from geo_engine.wechat.fake_log import DeliveryLog


def delivery(number: int) -> Delivery:
    return Delivery(number, "o" + "a" * 27, 1_793_678_400_000, "t", {"thing1": "桥"}, f"m{number}")


def append(path: Path, *numbers: int) -> None:
    log = DeliveryLog(path)
    for number in numbers:
        log.append(delivery(number))
    log.close()


def read(path: Path) -> tuple[Delivery, ...]:
    log = DeliveryLog(path)
    log.close()
    return log.earlier


def test_each_delivery_is_one_line_of_json(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    append(path, 1, 2)
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert [(line["msgid"], line["client_msg_id"]) for line in lines] == [(1, "m1"), (2, "m2")]


def test_a_later_run_reads_what_the_earlier_wrote(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    append(path, 1)
    append(path, 2)
    assert read(path) == (delivery(1), delivery(2))


def test_half_a_line_costs_neither_the_lines_before_nor_those_after(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    append(path, 1, 2)
    path.write_bytes(path.read_bytes()[:-20])
    append(path, 3)
    assert read(path) == (delivery(1), delivery(3))


def test_a_line_that_is_no_delivery_is_skipped(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_bytes(b'[]\n{"data": 1}\n\xff\n')
    append(path, 1)
    assert read(path) == (delivery(1),)
