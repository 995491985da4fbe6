"""Noise and parcels that depend on place alone."""

from __future__ import annotations

import numpy as np

from sensorfusion.simulation.above.grid import (
    Grid,
    fractal,
    nearest_sites,
    nearest_sites_reference,
    noise,
    parcels,
)

WIDE = Grid(left=-310.0, top=450.0, cell=2.5, height=240, width=200)
PART = Grid(left=-310.0 + 2.5 * 30, top=450.0 - 2.5 * 50, cell=2.5, height=64, width=80)
INNER = np.s_[50:114, 30:110]


def test_cells_lie_where_the_grid_says():
    grid = Grid(left=100.0, top=50.0, cell=10.0, height=3, width=2)
    assert grid.eastings.tolist() == [105.0, 115.0]
    assert grid.northings.tolist() == [45.0, 35.0, 25.0]
    x, y = grid.xy
    assert (x[2, 1], y[2, 1]) == (115.0, 25.0)
    fine = grid.refined(4)
    assert (fine.height, fine.width, fine.cell) == (12, 8, 2.5)
    assert fine.eastings[:4].mean() == 105.0
    wide = grid.grown(2)
    assert wide.eastings[2:4].tolist() == [105.0, 115.0]
    assert wide.northings[2:5].tolist() == [45.0, 35.0, 25.0]


def test_noise_of_a_window_is_the_window_of_the_noise():
    np.testing.assert_array_equal(noise(PART, 37.0, 5), noise(WIDE, 37.0, 5)[INNER])
    np.testing.assert_array_equal(fractal(PART, 90.0, 4, 5), fractal(WIDE, 90.0, 4, 5)[INNER])


def test_noise_is_smooth_spread_and_of_its_key():
    values = noise(WIDE, 50.0, 1)
    assert 0.0 <= values.min() < 0.1
    assert 0.9 < values.max() < 1.0
    assert np.abs(np.diff(values, axis=0)).max() < 0.1
    assert np.abs(np.corrcoef(values.ravel(), noise(WIDE, 50.0, 2).ravel())[0, 1]) < 0.3
    many = fractal(WIDE, 20.0, 3, 3)
    assert abs(many.mean()) < 0.2
    assert 0.8 < many.std() < 1.2


def test_shifted_noise_moves_with_the_shift():
    moved = noise(WIDE, 40.0, 5, shift=(25.0, -50.0))
    np.testing.assert_allclose(moved[20:, 10:], noise(WIDE, 40.0, 5)[:-20, :-10], atol=1e-5)


def test_the_kernel_finds_the_two_nearest_sites():
    generator = np.random.default_rng(0)
    sites = np.stack(np.meshgrid(np.arange(6.0), np.arange(5.0)), -1)
    sites = (50.0 * (sites + 0.1 + 0.8 * generator.random(sites.shape))).astype(np.float32)
    x, y = (
        generator.uniform((50, 50), (250, 200), (40, 30, 2)).astype(np.float32).transpose(2, 0, 1)
    )
    corner = np.array([0.0, 0.0, 50.0], np.float32)
    nearest, border = nearest_sites(x, y, sites, corner)
    expected, away = nearest_sites_reference(x, y, sites)
    np.testing.assert_array_equal(nearest, expected)
    # The second nearest site may lie outside the nine squares; then the border is far.
    close = away < 10.0
    np.testing.assert_allclose(border[close], away[close], atol=1e-2)


class TestParcels:
    wide = parcels(WIDE, 9, zone=200.0, strip=40.0, length=80.0, wander=4.0)

    def test_a_window_has_the_parcels_of_the_whole(self):
        part = parcels(PART, 9, zone=200.0, strip=40.0, length=80.0, wander=4.0)
        for name in ("kind_HW", "zone_HW", "u_HW", "border_HW"):
            np.testing.assert_array_equal(getattr(part, name), getattr(self.wide, name)[INNER])

    def test_traits_are_constant_in_a_parcel_and_differ_between_them(self):
        drawn = self.wide.draw(3)
        kinds = np.unique(self.wide.kind_HW)
        assert len(kinds) > 30
        spread = [np.ptp(drawn[self.wide.kind_HW == kind]) for kind in kinds[:20]]
        assert max(spread) == 0.0
        assert len(np.unique(drawn)) > 0.9 * len(kinds)
        assert 0.0 <= drawn.min() < drawn.max() < 1.0
        assert not np.array_equal(drawn, self.wide.draw(4))

    def test_places_in_a_parcel_are_inside_it(self):
        assert (self.wide.u_HW >= -1e-2).all()
        assert (self.wide.u_HW <= self.wide.length_HW + 1e-2).all()
        assert (self.wide.v_HW <= self.wide.breadth_HW + 1e-2).all()
        assert (self.wide.gap <= 0.75 * 40.0).all()
