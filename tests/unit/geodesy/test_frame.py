"""The local frame against the geodesic of pyproj."""

from __future__ import annotations

import math

import numpy as np
import pytest
from pyproj import Geod

from geo_engine.geodesy.frame import metres_per_degree

GEOD = Geod(ellps="WGS84")


@pytest.mark.parametrize("lat", [-70.0, -33.9, 0.0, 30.5, 45.0, 60.0, 70.0])
def test_scale_equals_the_geodesic_of_a_thousandth_of_a_degree(lat: float) -> None:
    mx, my = metres_per_degree(lat)
    step = 1e-3
    assert float(mx) * step == pytest.approx(GEOD.inv(0.0, lat, step, lat)[2], rel=1e-9)
    assert float(my) * step == pytest.approx(GEOD.inv(0.0, lat - step / 2, 0.0, lat + step / 2)[2], rel=1e-9)


def test_degree_of_longitude_shrinks_to_nothing_at_the_poles() -> None:
    mx, my = metres_per_degree([-90.0, 90.0])
    assert np.all(np.abs(mx) < 1e-6)
    assert np.all(my > 111_000)


def test_scales_keep_the_shape_of_the_latitudes() -> None:
    mx, my = metres_per_degree(np.zeros((2, 3)))
    assert mx.shape == my.shape == (2, 3)


@pytest.mark.parametrize("unknown", [math.nan, math.inf, -math.inf])
def test_unknown_latitude_gives_nan_without_a_warning(unknown: float) -> None:
    mx, my = metres_per_degree(unknown)
    assert math.isnan(float(mx))
    assert math.isnan(float(my))
