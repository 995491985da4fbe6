"""A town block: what stands, waits and moves where, drawn from (seed, scene)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sensorfusion.simulation import buildings, classes, furniture, people, vehicles
from sensorfusion.simulation.body import People
from sensorfusion.simulation.drive import Drive, make_drive
from sensorfusion.simulation.ground import HALF_LENGTH, KERB, PLOT, Ground, make_ground
from sensorfusion.simulation.shapes import Shape, Sketch
from sensorfusion.simulation.track import Track

Floats = npt.NDArray[np.float64]
SECONDS = 20.0  # of a scene


@dataclass
class Town:
    """A block while it is built; afterwards `Scene` holds its objects.

    Every list has an entry per object: its shapes, class and track; its owner, the first object
    of the same thing; and, for the segments of pedestrians, (person, segment), else (-1, 0).
    """

    generator: np.random.Generator
    ground: Ground
    drive: Drive

    def __post_init__(self) -> None:
        self.parts: list[list[Shape]] = []
        self.labels: list[int] = []
        self.tracks: list[Track] = []
        self.owners: list[int] = []
        self.segments: list[tuple[int, int]] = []
        self.people: list[People] = []

    def put(self, sketch: Sketch, label: int, track: Track) -> None:
        """Add an object."""
        self._add(sketch, label, track, len(self.parts), (-1, 0))

    def put_person(self, person: People, track: Track) -> None:
        """Add a pedestrian: an object for every segment, all of one owner."""
        first = len(self.parts)
        body = people.dressed(self.generator, person.bones_NJ3[0], float(person.size_N[0]))
        for segment, sketch in enumerate(body):
            place = (len(self.people), segment)
            self._add(sketch, classes.PEDESTRIAN, track, first, place)
        self.people.append(person)

    def _add(
        self, sketch: Sketch, label: int, track: Track, owner: int, segment: tuple[int, int]
    ) -> None:
        self.parts.append(sketch.shapes)
        self.labels.append(label)
        self.tracks.append(track)
        self.owners.append(owner)
        self.segments.append(segment)

    def stand(
        self,
        sketch: Sketch,
        label: int,
        x: float,
        across: float,
        heading: float = 0.0,
        *,
        free: bool = False,
    ) -> None:
        """Add an object that stands still, on the pavement's level where there is one."""
        y = across if free else float(self.ground.middle(x)[0]) + across
        lift = 0.0 if bool(self.ground.on_street(x, y)) else KERB
        self.put(sketch, label, Track(x, across, heading, lift=lift, free=free))

    def clear_of_junction(self, x: float, margin: float) -> bool:
        """Whether a place along the street is away from every side street."""
        return all(abs(x - place) > half + margin for place, half in self.ground.crossings_K2)

    def along(self, start: float, end: float, gap: tuple[float, float]) -> Any:
        """Places along the street, at random distances."""
        x = start + self.generator.uniform(0, gap[1])
        while x < end:
            yield x
            x += self.generator.uniform(*gap)


def build_town(seed: int, scene: int) -> Town:
    """Draw the block of a scene."""
    generator = np.random.default_rng([seed, scene, 0])
    ground = make_ground(generator)
    town = Town(generator, ground, make_drive(generator, ground))
    for side in (-1, 1):
        _frontage(town, side)
        _pavement(town, side)
        _parking(town, side)
        _walkers(town, side)
    _horizon(town)
    _traffic(town)
    _roadworks(town)
    _crossing_people(town)
    return town


def _frontage(town: Town, side: int) -> None:
    """Buildings, walls, fences, hedges and gardens behind the pavement."""
    draw, ground = town.generator.uniform, town.ground
    edge = ground.half_street + ground.pavement
    dense, tall = draw(0.45, 0.95), draw(1.5, 6.5)
    heading = -math.pi / 2 * side  # fronts face the street
    x = -HALF_LENGTH + 6.0
    while x < HALF_LENGTH - 10:
        width = draw(8, 20)
        middle = x + width / 2
        plot = ground.plots_2M[0 if side < 0 else 1, int((middle + HALF_LENGTH) / PLOT)]
        setback = draw(0.2, 1.0) if plot != 0 and draw() < 0.5 else draw(2.5, 7.0)
        if town.clear_of_junction(middle, width / 2 + 3.5):
            if draw() < dense:
                depth, storeys = draw(8, 13), max(1, int(town.generator.normal(tall, 1.5)))
                sketch = buildings.building(town.generator, width, depth, storeys)
                town.stand(
                    sketch, classes.MANMADE, middle, side * (edge + setback + depth / 2), heading
                )
            else:
                for _ in range(town.generator.integers(1, 5)):
                    _plant(town, draw(x, x + width), side * (edge + draw(2.5, 14)))
            if setback > 2.4:
                _garden(town, middle, width, side, edge, setback)
        x += width + draw(0.3, 5.0)


def _garden(
    town: Town, middle: float, width: float, side: int, edge: float, setback: float
) -> None:
    """The boundary of a plot, and shrubs inside."""
    kind, draw, length = town.generator.random(), town.generator.uniform, 0.82 * width
    place = side * (edge + 0.35)
    if kind < 0.25:
        town.stand(buildings.wall(town.generator, length), classes.MANMADE, middle, place)
    elif kind < 0.5:
        town.stand(buildings.fence(town.generator, length), classes.MANMADE, middle, place)
    elif kind < 0.75:
        town.stand(furniture.hedge(town.generator, length), classes.VEGETATION, middle, place)
    for _ in range(town.generator.integers(0, 4)):
        x = middle + draw(-0.45, 0.45) * width
        across = side * (edge + draw(1.2, max(1.3, setback - 0.6)))
        town.stand(furniture.bush(town.generator), classes.VEGETATION, x, across)


def _plant(town: Town, x: float, across: float) -> None:
    make = furniture.tree if town.generator.random() < 0.7 else furniture.bush
    town.stand(make(town.generator), classes.VEGETATION, x, across, town.generator.uniform(0, 6.28))


def _pavement(town: Town, side: int) -> None:
    """Trees, lamps, signs and smaller things along the kerb."""
    generator, ground = town.generator, town.ground
    kerb = ground.half_street + 0.55
    trees = generator.random() < 0.7
    for x in town.along(-125, 125, (6, 16)):
        if not town.clear_of_junction(x, 3.0):
            continue
        kind, across = generator.random(), side * kerb
        if kind < 0.45 and trees:
            town.stand(
                furniture.tree(generator), classes.VEGETATION, x, across, generator.uniform(0, 6)
            )
        elif kind < 0.65:
            lamp = furniture.lamp_post(generator)
            town.stand(lamp, classes.MANMADE, x, across, -side * math.pi / 2)
        elif kind < 0.75:
            town.stand(
                furniture.sign(generator), classes.MANMADE, x, across, 0.0 if side < 0 else math.pi
            )
        elif kind < 0.88:
            place = side * (ground.half_street + ground.pavement - 0.4)
            bench = furniture.bench(generator)
            town.stand(bench, classes.MANMADE, x, place, 0.0 if side > 0 else math.pi)
        elif kind < 0.92:
            shelter = furniture.shelter(generator)
            town.stand(
                shelter, classes.MANMADE, x, side * (kerb + 0.6), 0.0 if side > 0 else math.pi
            )
        else:
            for n in range(generator.integers(2, 6)):
                town.stand(
                    furniture.bollard(generator), classes.MANMADE, x + 1.4 * n, side * (kerb - 0.2)
                )
    for place, half in ground.crossings_K2:
        for x in (place - half - 0.8, place + half + 0.8):
            if generator.random() < 0.7:
                turn = 0.0 if side < 0 else math.pi
                town.stand(furniture.signal(generator), classes.MANMADE, x, side * kerb, turn)


PARKED = (
    (vehicles.car, classes.CAR, 0.66, 5.4),
    (vehicles.truck, classes.TRUCK, 0.09, 9.6),
    (vehicles.trailer, classes.TRAILER, 0.06, 10.5),
    (vehicles.bus, classes.BUS, 0.04, 12.2),
    (vehicles.motorcycle, classes.MOTORCYCLE, 0.09, 2.4),
    (vehicles.construction, classes.CONSTRUCTION, 0.06, 7.5),
)


def _parking(town: Town, side: int) -> None:
    """Vehicles along the kerb, and two-wheelers on the pavement."""
    generator, ground = town.generator, town.ground
    busy = generator.uniform(0.3, 0.85)
    chances = np.cumsum([chance for _, _, chance, _ in PARKED])
    x = -125.0
    while x < 125:
        make, label, _, length = PARKED[int(np.searchsorted(chances, generator.random()))]
        middle = x + length / 2
        if generator.random() < busy and town.clear_of_junction(middle, length / 2 + 4.5):
            across = side * (ground.half_street - 1.12 + generator.normal(0, 0.06))
            heading = (0.0 if side < 0 else math.pi) + generator.normal(0, 0.02)
            if make is vehicles.motorcycle:
                heading += generator.uniform(0.5, 1.5)
            town.stand(make(generator), label, middle, across, heading)
        x += length + generator.uniform(0.5, 4.0)
    for x in town.along(-120, 120, (12, 45)):
        if town.clear_of_junction(x, 5.0):
            for n in range(generator.integers(1, 4)):
                two = generator.random() < 0.75
                make, label = (
                    (vehicles.bicycle, classes.BICYCLE)
                    if two
                    else (vehicles.motorcycle, classes.MOTORCYCLE)
                )
                across = side * (ground.half_street + ground.pavement - 1.0)
                turn = math.pi / 2 + generator.normal(0, 0.15)
                town.stand(make(generator), label, x + 0.8 * n, across, turn)


def _traffic(town: Town) -> None:
    """Vehicles ahead of and behind the ego vehicle, those that meet it, and riders."""
    generator, ground, drive = town.generator, town.ground, town.drive
    lane = drive.lane
    kinds = (vehicles.car, vehicles.car, vehicles.car, vehicles.truck, vehicles.bus)
    numbers = (classes.CAR, classes.CAR, classes.CAR, classes.TRUCK, classes.BUS)

    def wave() -> dict[str, Any]:
        return {
            "wave": generator.uniform(0.5, 2.5),
            "rate": generator.uniform(0.15, 0.3),
            "phase": generator.uniform(0, 6.28),
        }

    for gap in (-34.0, -16.0, 18.0, 38.0, 62.0):
        if generator.random() < 0.6:
            pick = generator.integers(len(kinds))
            start = drive.x(0.0) + gap + generator.uniform(0, 4)
            track = Track(start, lane, follows=True, **wave())
            town.put(kinds[pick](generator), numbers[pick], track)
    speed, x = -generator.uniform(5, 10), -120.0
    while x < 125 - speed * SECONDS:
        pick = generator.integers(len(kinds))
        town.put(kinds[pick](generator), numbers[pick], Track(x, -lane, speed=speed, **wave()))
        x += generator.uniform(19, 60)
    for side in (-1, 1):
        for x in town.along(-115, 115, (25, 90)):
            light = generator.random() < 0.65
            make, label = (
                (vehicles.bicycle, classes.BICYCLE)
                if light
                else (vehicles.motorcycle, classes.MOTORCYCLE)
            )
            pace = -side * generator.uniform(2.0, 4.5)
            across = side * (ground.half_street - 2.55)
            town.put(make(generator, rider=True), label, Track(x - 10 * pace, across, speed=pace))


def _walkers(town: Town, side: int) -> None:
    """Pedestrians on a pavement: walking both ways, and standing."""
    generator, ground = town.generator, town.ground
    for x in town.along(-120, 120, (4, generator.uniform(14, 40))):
        across = side * (ground.half_street + generator.uniform(0.9, ground.pavement - 0.5))
        walking = generator.random() < 0.65
        if walking:
            speed = generator.choice([-1.0, 1.0]) * generator.uniform(0.7, 1.8)
            track = Track(x - 10 * speed, across, speed=speed, lift=KERB)
            pace = abs(speed) * math.hypot(1.0, float(ground.middle(x)[1]))
            town.put_person(people.passer_by(generator, pace, SECONDS), track)
        elif town.clear_of_junction(x, 2.0):
            track = Track(x, across, generator.uniform(0, 6.28), lift=KERB)
            town.put_person(people.passer_by(generator, 0.0, SECONDS), track)


def _crossing_people(town: Town) -> None:
    """A few pedestrians who cross the street."""
    generator = town.generator
    for _ in range(generator.integers(1, 5)):
        pace = generator.choice([-1.0, 1.0]) * generator.uniform(0.8, 1.5)
        when = generator.uniform(0, SECONDS)
        x = generator.uniform(-70, 100)
        start = -pace * when
        track = Track(x, start, drift=pace)
        if abs(start) < 30:
            town.put_person(people.passer_by(generator, abs(pace), SECONDS), track)


def _roadworks(town: Town) -> None:
    """Places that cones or barriers close off, with an excavator or a trailer."""
    generator, ground = town.generator, town.ground
    for x in town.along(-110, 110, (35, 80)):
        side = int(generator.choice([-1, 1]))
        if not town.clear_of_junction(x + 4, 12.0):
            continue
        barred = generator.random() < 0.6
        across = ground.half_street + generator.uniform(0.6, max(0.7, ground.pavement - 1.0))
        if generator.random() < 0.4:
            across = ground.half_street - 2.35
        for n in range(generator.integers(3, 9)):
            if barred:
                made = vehicles.barrier(generator)
                town.stand(
                    made, classes.BARRIER, x + 2.6 * n, side * across, generator.normal(0, 0.06)
                )
            else:
                town.stand(vehicles.cone(generator), classes.CONE, x + 2.0 * n, side * across)
        if generator.random() < 0.5:
            place = side * (ground.half_street + ground.pavement + 4.5)
            town.stand(
                vehicles.construction(generator),
                classes.CONSTRUCTION,
                x + 6,
                place,
                generator.uniform(0, 6.28),
            )


def _horizon(town: Town) -> None:
    """Taller buildings and trees behind the first row, so that the block ends nowhere in sight."""
    generator = town.generator
    for side in (-1, 1):
        for x in town.along(-130, 130, (16, 34)):
            if town.clear_of_junction(x, 13.0):
                width, storeys = generator.uniform(12, 24), int(generator.integers(2, 9))
                sketch = buildings.building(generator, width, 12.0, storeys)
                y = side * generator.uniform(50, 68)
                town.stand(sketch, classes.MANMADE, x, y, -side * math.pi / 2, free=True)
        for x in town.along(-130, 130, (9, 30)):
            if town.clear_of_junction(x, 5.0):
                town.stand(
                    furniture.tree(generator),
                    classes.VEGETATION,
                    x,
                    side * generator.uniform(30, 46),
                    generator.uniform(0, 6),
                    free=True,
                )
    for end in (-1, 1):
        for y in np.arange(-66, 67, 22.0):
            sketch = buildings.building(
                generator, generator.uniform(17, 22), 10.0, int(generator.integers(2, 8))
            )
            turn = math.pi if end > 0 else 0.0
            town.stand(sketch, classes.MANMADE, end * 137.5, y, turn, free=True)
    for place, _ in town.ground.crossings_K2:
        for side in (-1, 1):
            sketch = buildings.building(generator, 20.0, 8.0, int(generator.integers(2, 6)))
            town.stand(sketch, classes.MANMADE, place, side * 75.0, -side * math.pi / 2, free=True)
