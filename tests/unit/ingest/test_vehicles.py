"""Vehicle profiles: what is read, what is a fault, and which vehicles stay."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from geo_engine.errors import VehicleFileError
from geo_engine.ingest.vehicles import VehicleFile, read_vehicles, vehicle_profiles
from geo_engine.model import BodyType, Energy, Language, Permit, PlateColour, Vehicle, VehicleClass, VehicleKind

PROFILES = Path(__file__).resolve().parents[3] / "data/vehicles.json"
FULL = {
    "u7": 17,
    "kind": "goods",
    "class": "heavy",
    "gross_weight_t": 31,
    "plate": "鄂A12345",
    "service": "sanitation",
    "consent": True,
    "language": "en",
    "load_t": 18,
    "axle_load_t": 9.5,
    "axle_count": 4,
    "length_m": 11.9,
    "width_m": 2.5,
    "height_m": 3.9,
    "seats": 2,
    "plate_colour": "yellow",
    "energy": "diesel",
    "emission_stage": 5,
    "body": "stake",
    "goods": "general",
    "permits": [{"zone": "ring3", "from": "2026-10-19T12:00:00+08:00", "until": "2026-10-19T05:00:00Z"}],
}


def read_lines(folder: Path, *lines: object) -> VehicleFile:
    path = folder / "fleet.jsonl"
    texts = [line if isinstance(line, str) else json.dumps(line, ensure_ascii=False) for line in lines]
    path.write_text("\n".join(texts), encoding="utf-8")
    return read_vehicles(path)


def test_every_field_is_read(tmp_path: Path) -> None:
    found = read_lines(tmp_path, FULL)
    assert found.faults == ()
    assert found.vehicles == (
        Vehicle(
            17,
            VehicleKind.GOODS,
            VehicleClass.HEAVY,
            31.0,
            "鄂A12345",
            "sanitation",
            consent_warnings=True,
            language=Language.EN,
            load_t=18.0,
            axle_load_t=9.5,
            axle_count=4,
            length_m=11.9,
            width_m=2.5,
            height_m=3.9,
            seats=2,
            plate_colour=PlateColour.YELLOW,
            energy=Energy.DIESEL,
            emission_stage=5,
            body=BodyType.STAKE,
            goods="general",
            permits=(Permit("ring3", 1_792_382_400_000, 1_792_386_000_000),),
        ),
    )


def test_missing_fields_are_unknown_and_consent_is_taken_as_given(tmp_path: Path) -> None:
    found = read_lines(tmp_path, {"u7": 0}, "", {"u7": 1, "kind": None, "consent": None})
    assert found == VehicleFile((Vehicle(0), Vehicle(1)), ())


@pytest.mark.parametrize(
    ("consent", "agreed"),
    [(True, True), (False, False), ({"warnings": True}, True), ({"warnings": False}, False), ({}, False)],
)
def test_consent_is_read_in_both_forms(tmp_path: Path, consent: object, agreed: bool) -> None:
    found = read_lines(tmp_path, {"u7": 1, "consent": consent})
    assert found.faults == ()
    assert found.vehicles[0].consent_warnings is agreed


@pytest.mark.parametrize("consent", ["yes", 1, {"warnings": "yes"}, []])
def test_consent_nobody_can_read_is_a_no_and_a_fault(tmp_path: Path, consent: object) -> None:
    found = read_lines(tmp_path, {"u7": 1, "consent": consent})
    assert found.vehicles[0].consent_warnings is False
    assert [fault.path for fault in found.faults] == ["consent"]


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("kind", "goodz", "goods (did you mean it?)"),
        ("kind", 3, "one of car, coach"),
        ("class", "huge", "one of micro, light, medium, heavy"),
        ("language", "fr", "one of zh, en"),
        ("gross_weight_t", -1, "tonnes above 0"),
        ("gross_weight_t", "31", "tonnes above 0"),
        ("gross_weight_t", True, "tonnes above 0"),
        ("plate", 12345, "a text"),
        ("service", " ", "a text"),
        ("plaet", "鄂A", "plate (did you mean it?)"),
        ("wheels", 6, "one of u7, kind"),
        ("length_m", 0, "metres above 0"),
        ("axle_count", 2.5, "a whole number 1..30"),
        ("emission_stage", 7, "a whole number 1..6"),
        ("plate_colour", "yelow", "yellow (did you mean it?)"),
        ("energy", "steam", "one of petrol"),
        ("length_m", 10**400, "metres above 0"),
        ("axle_load_t", 1e6, "tonnes above 0"),
        ("seats", 10**400, "a whole number 1..300"),
        ("permits", [{"zone": "z", "from": "20261019T00Z", "until": "2026-10-20T00:00:00Z"}], "a permit"),
        ("permits", [{"zone": "z", "from": "2026-10-19T00:00:00Z", "until": "2026-W44-1T00:00:00Z"}], "a permit"),
        ("permits", [{"zone": "z", "from": "2026-10-19T00:00:00", "until": "2026-10-20T00:00:00Z"}], "a permit"),
        ("permits", {}, "an array of 1.."),
        ("permits", [{"zone": "z"}], "a permit"),
        ("permits", [{"zone": "z", "from": "2026-10-19", "until": "2026-10-20T00:00:00Z"}], "a permit"),
        ("permits", [{"zone": "z", "from": "2026-10-20T00:00:00Z", "until": "2026-10-20T00:00:00Z"}], "a permit"),
    ],
)
def test_bad_value_is_a_fault_and_the_vehicle_stays_with_it_unknown(
    tmp_path: Path, name: str, value: object, expected: str
) -> None:
    found = read_lines(tmp_path, {"u7": 1, name: value})
    assert found.vehicles == (Vehicle(1),)
    (fault,) = found.faults
    assert (fault.where, fault.path) == ("fleet.jsonl line 1", name)
    assert fault.expected.startswith(expected)


@pytest.mark.parametrize("weight", ["NaN", "Infinity", "1e999"])
def test_weight_that_is_not_finite_is_a_fault(tmp_path: Path, weight: str) -> None:
    found = read_lines(tmp_path, f'{{"u7":1,"gross_weight_t":{weight}}}')
    assert found.vehicles[0].gross_weight_t is None
    assert len(found.faults) == 1


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ({"kind": "car"}, "malformed"),
        ({"u7": "17"}, "malformed"),
        ({"u7": True}, "malformed"),
        ({"u7": -1}, "u7_out_of_range"),
        ({"u7": 10_000_000}, "u7_out_of_range"),
        ("{", "malformed"),
        ("[" * 100_000, "malformed"),
        ("null", "malformed"),
        ([1], "malformed"),
    ],
)
def test_line_without_a_usable_u7_is_left_out_and_the_others_stay(tmp_path: Path, line: object, reason: str) -> None:
    found = read_lines(tmp_path, {"u7": 1}, line, {"u7": 2})
    assert [vehicle.u7 for vehicle in found.vehicles] == [1, 2]
    assert [(fault.where, fault.reason) for fault in found.faults] == [("fleet.jsonl line 2", reason)]


def test_second_line_of_a_user_is_a_fault_and_the_first_counts(tmp_path: Path) -> None:
    found = read_lines(tmp_path, {"u7": 1, "plate": "鄂A1"}, {"u7": 1, "plate": "鄂A2"})
    assert [vehicle.plate for vehicle in found.vehicles] == ["鄂A1"]
    assert [(fault.where, fault.reason) for fault in found.faults] == [("fleet.jsonl line 2", "duplicate_u7")]


def test_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(VehicleFileError, match="expected a file that can be read"):
        read_vehicles(tmp_path / "nowhere.jsonl")
    (tmp_path / "gbk.jsonl").write_bytes('{"u7":1,"plate":"鄂A"}'.encode("gb18030"))
    with pytest.raises(VehicleFileError, match="expected UTF-8"):
        read_vehicles(tmp_path / "gbk.jsonl")


def test_shipped_profiles_are_complete_and_carry_both_labels() -> None:
    profiles = vehicle_profiles(PROFILES)
    assert list(profiles) == [
        "heavy_truck",
        "medium_truck",
        "light_truck",
        "micro_truck",
        "tractor",
        "hazmat_truck",
        "special_work",
        "coach",
        "car",
    ]
    kinds = {"body", "goods", "load_t", "size_class", "service", "permits"}
    for profile in profiles.values():
        unknown = {name for name in profile.__dataclass_fields__ if getattr(profile, name) in (None, ())}
        assert unknown <= (kinds if profile.kind in (VehicleKind.CAR, VehicleKind.COACH) else {"service", "permits"})
    assert profiles["heavy_truck"].size_class is VehicleClass.HEAVY
    assert profiles["hazmat_truck"].kind is VehicleKind.HAZMAT
    assert all(profile.plate is not None and profile.plate.startswith("鄂A") for profile in profiles.values())
    assert all(profile.consent_warnings for profile in profiles.values())
    document = json.loads(PROFILES.read_text(encoding="utf-8"))
    assert all(set(fields["label"]) == {"zh", "en"} for fields in document.values())


@pytest.mark.parametrize("text", ["[]", "{", '{"truck": 3}', '{"truck": {"kind": "lorry"}}', '{"truck": {"wheel": 1}}'])
def test_profiles_with_any_fault_are_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "vehicles.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(VehicleFileError):
        vehicle_profiles(path)


def test_consent_and_open_id_are_told_only_where_the_file_says_them(tmp_path: Path) -> None:
    path = tmp_path / "people.jsonl"
    open_id = "o" + "x" * 27
    path.write_text(
        f'{{"u7": 1, "consent": true, "open_id": "{open_id}"}}\n{{"u7": 2}}\n'
        '{"u7": 3, "consent": false}\n{"u7": 4, "consent": "perhaps", "open_id": "short"}\n',
        encoding="utf-8",
    )
    file = read_vehicles(path)
    assert file.consents == {1: True, 3: False, 4: False}
    assert file.open_ids == {1: open_id}
    assert [fault.path for fault in file.faults] == ["open_id", "consent"]
    assert [vehicle.consent_warnings for vehicle in file.vehicles] == [True, True, False, False]
