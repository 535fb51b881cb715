"""What a map program finds in the store on PostGIS: zones by revision and places of decisions."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import geopandas
import pytest
from shapely import Point, box
from sqlalchemy import Engine, create_engine

from geo_engine.errors import ConfigurationError, StoreError
from geo_engine.store import Store
from geo_engine.store.open import open_store
from geo_engine.testing import an_alert
from geo_engine.zones.zoneset import ZoneSet
from tests.contract.stores import T0
from tests.postgres import Server


@pytest.fixture
def store(postgres_url: str) -> Iterator[Store]:
    opened = open_store(postgres_url)
    yield opened
    opened.close()


@pytest.fixture
def engine(postgres_url: str) -> Iterator[Engine]:
    made = create_engine(postgres_url)
    yield made
    made.dispose()


def zones(*shapes: tuple[str, float]) -> ZoneSet:
    features = [
        {
            "type": "Feature",
            "id": name,
            "geometry": box(west, 30.5, west + 0.1, 30.6).__geo_interface__,
            "properties": {"kind": "truck_restriction", "name": f"桥{name}"},
        }
        for name, west in shapes
    ]
    return ZoneSet.from_geojson({"type": "FeatureCollection", "features": features})


def test_zones_of_every_revision_are_read_as_a_layer(store: Store, engine: Engine) -> None:
    first, second = zones(("a", 114.1)), zones(("a", 114.2), ("b", 114.4))
    assert store.zone_revision("one", T0, first.zones) == 1
    assert store.zone_revision("one", T0 + 1, second.zones) == 1  # unchanged by its content: nothing is written
    assert store.zone_revision("two", T0 + 2, second.zones) == 2
    layer = geopandas.read_postgis("SELECT * FROM zone_shape ORDER BY revision, zone_id", engine, geom_col="shape")
    assert layer.crs.to_epsg() == 4326
    assert [tuple(row) for row in layer[["revision", "zone_id", "name", "kind"]].itertuples(index=False)] == [
        (1, "a", "桥a", "truck_restriction"),
        (2, "a", "桥a", "truck_restriction"),
        (2, "b", "桥b", "truck_restriction"),
    ]
    for shape, zone in zip(layer["shape"], (*first.zones, *second.zones), strict=True):
        assert shape.equals_exact(zone.geometry, 0)


def test_a_decision_has_its_place_and_the_database_finds_it_by_the_zone(store: Store, engine: Engine) -> None:
    store.zone_revision("one", T0, zones(("a", 114.3)).zones)
    inside, outside = (
        an_alert(alert_id="1" * 32, lon=114.35, lat=30.55),
        an_alert(alert_id="2" * 32, lon=114.5, lat=30.55),
    )
    store.commit([inside, outside], [], now_ms=T0)
    layer = geopandas.read_postgis("SELECT alert_id, place FROM decision ORDER BY alert_id", engine, geom_col="place")
    assert list(layer["place"]) == [Point(114.35, 30.55), Point(114.5, 30.55)]
    assert layer.crs.to_epsg() == 4326
    with engine.connect() as connection:
        found = connection.exec_driver_sql(
            "SELECT alert_id FROM decision JOIN zone_shape ON ST_Covers(shape, place) WHERE zone_shape.zone_id = 'a'"
        )
        assert list(found.scalars()) == ["1" * 32]


def test_both_layers_are_listed_with_a_key_and_an_index_as_a_map_program_wants(store: Store, postgres: Server) -> None:
    layers = postgres.sql(
        "SELECT f_table_name, f_geometry_column, srid, type FROM geometry_columns ORDER BY f_table_name"
    )
    assert layers.splitlines() == ["decision|place|4326|POINT", "zone_shape|shape|4326|GEOMETRY"]
    indexes = postgres.sql("SELECT indexname FROM pg_indexes WHERE indexdef LIKE '% USING gist %' ORDER BY indexname")
    assert indexes.splitlines() == ["ix_decision_place", "ix_zone_shape_shape"]
    keys = postgres.sql(
        "SELECT count(*) FROM pg_constraint WHERE contype = 'p'"
        " AND conrelid::regclass::text IN ('decision', 'zone_shape')"
    )
    assert keys == "2"


def test_the_index_is_used_for_a_small_window(store: Store, engine: Engine) -> None:
    store.commit([an_alert(alert_id=f"{n:032x}", lon=114 + n / 1e3, lat=30.0) for n in range(800)], [], now_ms=T0)
    with engine.connect() as connection:
        connection.exec_driver_sql("ANALYZE decision")
        window = "SELECT 1 FROM decision WHERE place && ST_MakeEnvelope(114.1, 29.9, 114.102, 30.1, 4326)"
        plan = "\n".join(connection.exec_driver_sql(f"EXPLAIN {window}").scalars())
        assert "ix_decision_place" in plan
        assert len(connection.exec_driver_sql(window).all()) == 3


def test_a_database_without_postgis_is_refused_with_what_to_type(postgres: Server) -> None:
    postgres.sql("CREATE DATABASE plain OWNER geo_tests TEMPLATE template0", "postgres")
    with pytest.raises(StoreError, match="an administrator types CREATE EXTENSION postgis"):
        open_store(postgres.url("plain"))
    assert postgres.sql("SELECT count(*) FROM pg_tables WHERE tableowner = 'geo_tests'", "plain") == "0"


def test_without_the_extra_the_address_is_refused_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'geo-engine\[postgres\]'"):
        open_store("postgresql+psycopg://u@127.0.0.1/x")


def test_a_store_in_a_file_imports_nothing_of_postgresql(tmp_path: Path) -> None:
    code = (
        "import sys; from geo_engine.store.open import open_store; open_store(sys.argv[1]).close();"
        "print({'psycopg', 'geoalchemy2', 'alembic'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "s.db")], capture_output=True, text=True, check=True
    )
    assert done.stdout == "set()\n"
