"""``geo-engine history`` on real files: what is found, what is written, and what is refused in words."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from api.commands.history import app
from api.history_files import COLUMNS, spreadsheet_text
from geo_engine.model import Vehicle
from geo_engine.store import HISTORY, Person
from geo_engine.store.messages import Direction, NewMessage
from tests.contract.stores import T0, sql

EVIL = '=HYPERLINK("https://evil","长江二桥")'


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store with two messages of 7 and one of 8."""
    path = tmp_path / "store.db"
    opened = sql(path)
    opened.put_people([Person(7, "o-7", Vehicle(7, plate="鄂A1")), Person(8, "o-8", Vehicle(8))])
    opened.set_phone(7, "13800138000", T0)
    opened.set_consent(7, HISTORY, True, "v1", T0, "test")
    opened.messages.note(
        [
            a_message(1, 7, text=EVIL, lon=-1.5, lat=30.5, datum="wgs84"),
            a_message(2, 8, text="多行\n\x1b[31m红色"),
            a_message(3, 7, direction=Direction.OUT, kind="answer", text="答案", zones=("a", "b"), errcode=45015),
        ]
    )
    opened.close()
    return path


def a_message(number: int, u7: int, **changes: Any) -> NewMessage:
    values: dict[str, Any] = {"direction": Direction.IN, "kind": "text", "channel": "callback"}
    return NewMessage(f"in:{number}", u7, event_ms=T0 + number, recorded_ms=T0 + number, **values | changes)


def run(command: str, store: Path | str, *args: str | Path) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, [command, "--store", str(store), *map(str, args)], env={"COLUMNS": "200"})
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.exit_code, result.stdout, result.stderr


def test_a_line_tells_who_when_what_why_and_how_and_steers_no_terminal(store: Path) -> None:
    code, shown, _ = run("search", store)
    assert code == 0
    first, second, third = shown.splitlines()
    assert "out · u7 0000007 13800138000 鄂A1 · answer callback received errcode 45015 [a b] · 答案" in first
    assert "多行 ?[31m红色" in second
    assert third.startswith("2023-11-14T22:13:20.001Z · in · u7 0000007")
    assert "\x1b" not in shown


@pytest.mark.parametrize(
    ("options", "numbers"),
    [
        (["--u7", "8"], [2]),
        (["--phone", "+86 138-0013-8000"], [3, 1]),
        (["--plate", " 鄂a1 "], [3, 1]),
        (["--zone", "b"], [3]),
        (["--kind", "answer"], [3]),
        (["--direction", "in"], [2, 1]),
        (["--text", "hyperlink"], [1]),
        (["--text", "%"], []),
        (["--since", "2023-11-15", "--until", "2023-11-16"], [3, 2, 1]),
        (["--until", "2023-11-15"], []),
        (["--since", "2023-11-15T06:13:20.002+08:00"], [3, 2]),
    ],
)
def test_messages_are_found_by_options(store: Path, options: list[str], numbers: list[int]) -> None:
    code, shown, _ = run("search", store, "--json", *options)
    assert code == 0
    assert [json.loads(line)["number"] for line in shown.splitlines()] == numbers


def test_pages_follow_one_another(store: Path) -> None:
    _, first, more = run("search", store, "--limit", "2", "--json")
    assert more.startswith("more: --after ")
    _, second, end = run("search", store, "--limit", "2", "--json", *more.split()[1:])
    assert [json.loads(line)["number"] for line in (first + second).splitlines()] == [3, 2, 1]
    assert end == ""
    assert run("search", store, "--zone", "none")[2] == "no message found\n"


def test_a_csv_opens_in_a_spreadsheet_with_its_chinese_and_without_formulas(store: Path, tmp_path: Path) -> None:
    path = tmp_path / "历史.csv"
    assert run("export", store, "--csv", path)[:2] == (0, f"{path}: 3 messages\n")
    content = path.read_bytes()
    assert content.startswith("\ufeffnumber,time".encode())
    rows = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))
    assert tuple(rows[0]) == COLUMNS
    assert rows[2]["text"] == f"'{EVIL}"
    assert (rows[2]["lon"], rows[2]["plate"], rows[2]["u7"]) == ("-1.5", "鄂A1", "0000007")
    assert (rows[1]["text"], rows[1]["phone"], rows[0]["zones"]) == ("多行\n\x1b[31m红色", "", "a b")
    assert path.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("text", ["=1", "+1", "-1", "@x", " =1", "\t=1", "\r=1", "\n=1", "＝1", "＋1", "－1", "＠x"])
def test_a_cell_that_begins_like_a_formula_is_made_harmless(text: str) -> None:
    assert spreadsheet_text(text) == f"'{text}"
    assert spreadsheet_text(f"x{text}") == f"x{text}"


def test_a_parquet_file_holds_texts_as_they_are_and_times_as_times(store: Path, tmp_path: Path) -> None:
    path = tmp_path / "h.parquet"
    assert run("export", store, "--parquet", path, "--u7", "7")[0] == 0
    table = pq.read_table(path)
    assert tuple(table.column_names) == COLUMNS
    rows = table.to_pylist()
    assert [row["number"] for row in rows] == [3, 1]
    assert (rows[1]["text"], rows[1]["lon"], rows[0]["zones"]) == (EVIL, -1.5, ["a", "b"])
    assert round(rows[1]["time"].timestamp() * 1000) == T0 + 1
    empty = tmp_path / "empty.parquet"
    assert run("export", store, "--parquet", empty, "--kind", "voice")[0] == 0
    assert (pq.read_table(empty).num_rows, pq.read_table(empty).schema) == (0, table.schema)


def test_an_export_of_many_pages_has_every_message_once(tmp_path: Path) -> None:
    path = tmp_path / "many.db"
    opened = sql(path)
    opened.put_people([Person(7, "o-7", Vehicle(7))])
    opened.messages.note([a_message(number, 7) for number in range(2_500)])
    opened.close()
    out = tmp_path / "many.csv"
    assert run("export", path, "--csv", out)[1].endswith(": 2500 messages\n")
    numbers = [int(row["number"]) for row in csv.DictReader(io.StringIO(out.read_text(encoding="utf-8-sig")))]
    assert numbers == list(range(2_500, 0, -1))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--u7", "10000000"], "9999999"),
        (["--phone", "12345"], "expected a Chinese mobile number"),
        (["--kind", "telegram"], "expected answer, "),
        (["--direction", "up"], "'up'"),
        (["--since", "yesterday"], "expected a moment with zone"),
        (["--since", "2026-11-03T16:30:00"], "expected a moment with zone"),
        (["--since", "2026-13-03"], "expected a moment with zone"),
        (["--since", "2026-11-03", "--until", "2026-11-03"], "expected a moment after 2026-11-03"),
        (["--text", "x" * 201], "expected 200 at most"),
        (["--after", "17"], "expected what an earlier page ended with"),
        (["--limit", "0"], "or equal to 1"),
    ],
)
def test_an_impossible_option_is_named_with_what_was_expected(store: Path, options: list[str], expected: str) -> None:
    code, shown, said = run("search", store, *options)
    assert (code, shown) == (2, "")
    assert expected in " ".join(said.replace("│", " ").split())


def test_an_export_names_one_new_file(store: Path, tmp_path: Path) -> None:
    for options, found in (([], "none of --csv"), (["--csv", "a", "--parquet", "b"], "both --csv")):
        code, _, said = run("export", store, *options)
        assert (code, found in said) == (2, True)
    # A slip must not overwrite a file, the store least of all.
    before = store.read_bytes()
    code, _, said = run("export", store, "--csv", store)
    assert (code, "expected the name of a new file" in said, store.read_bytes()) == (1, True, before)
    code, _, said = run("export", store, "--csv", tmp_path / "no" / "x.csv")
    assert (code, "No such file" in said) == (1, True)
    assert [found.name for found in tmp_path.iterdir() if found.name.startswith(".")] == []


def test_a_store_that_is_not_there_is_named_and_not_made(tmp_path: Path) -> None:
    code, _, said = run("search", tmp_path / "none.db")
    assert (code, "found no file, expected one made by" in said) == (1, True)
    assert list(tmp_path.iterdir()) == []
    assert run("search", "mysql://x")[0] == 2
