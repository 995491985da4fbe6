"""A run's folder to one page of HTML that needs nothing beside it.

Python collects, `page.js` draws: all that comes from the run reaches the page as one JSON
document, whose texts the script only ever sets as text.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, cast

import numpy as np

from sensorfusion.checkpoint import read_document
from sensorfusion.errors import DataError
from sensorfusion.evaluation.run_folder import RunFolder
from sensorfusion.evaluation.segmentation_results import RESULTS
from sensorfusion.export import DOCUMENT, PretrainedEncoder
from sensorfusion.report.curves import curves
from sensorfusion.report.payload import Payload, script_json
from sensorfusion.report.predictions import predictions_payload
from sensorfusion.report.results import results
from sensorfusion.report.scene import classes_present, scene_of, scene_payload
from sensorfusion.report.similarity import similarity_payload, tokens_of
from sensorfusion.sensors.lidar import PointCloud

COLOURS = {"similarity": "inferno", "depth": "turbo"}


def page_of(run: RunFolder, *, sample: int = 0, scene: bool = True) -> Payload:
    """All that a page shows of a finished run; what the run has no data for is None.

    Args:
        sample: number of the test sample that is drawn. scene: False: draw none.

    Raises:
        DataError, ConfigError: when a file of the run, or its data, cannot be read.
    """
    provenance = _json(run.path / "provenance.json")
    recorded = curves(run.path / "metrics.jsonl")
    return {
        "title": run.path.resolve().name,
        "model": _model(run),
        "data": _short(_innermost(run.config["data"]["train"]).get("type", "")),
        "seed": run.config.get("seed"),
        "segmentation": results(run.path / "segmentation" / RESULTS),
        "curves": recorded,
        "scene": _scene(run, sample) if scene else None,
        "colours": {name: _colours(map_name) for name, map_name in COLOURS.items()},
        "config": run.config,
        "provenance": provenance,
        "hashes": {"config": run.config_hash, "encoders": run.checkpoint_hash},
    }


def html_of(page: Payload) -> str:
    """The page."""
    parts = files("sensorfusion.report")
    text = (parts / "template.html").read_text(encoding="utf-8")
    for name in ("page.css", "charts.js", "scene.js", "page.js"):
        text = text.replace(f"/* {name} */", (parts / name).read_text(encoding="utf-8"))
    return text.replace("{/* data */}", script_json(page))


def _scene(run: RunFolder, number: int) -> Payload | None:
    encoders = run.load()
    kinds = [cast(PretrainedEncoder, encoder).encoder.reading for encoder in encoders.values()]
    if PointCloud not in kinds:
        return None  # before its data are opened, which need not be there
    scene = scene_of(run, number)
    if scene is None:
        return None
    found = scene_payload(scene)
    found["present"] = [int(k) for k in classes_present(scene)]
    tokens = tokens_of(scene, encoders)
    found["similarity"] = None if tokens is None else similarity_payload(scene, tokens)
    encoder = cast(PretrainedEncoder | None, encoders.get(scene.lidar))
    found["prediction"] = encoder and predictions_payload(scene, encoder, run)
    return found


def _model(run: RunFolder) -> list[Payload]:
    """What was trained: encoders with their sensors, then terms, each in a few words."""
    model = run.config["model"]
    sensors: Mapping[str, str] = model["sensors"]
    frozen = model.get("frozen") or ()
    found = [
        {
            "kind": "encoder",
            "name": _short(read_document(run.path / "encoders" / name, name=DOCUMENT)["type"]),
            "text": _listed([s for s, used in sensors.items() if used == name])
            + (", frozen" if name in frozen else ""),
        }
        for name in dict.fromkeys(sensors.values())
    ]
    for name, weighted in (model.get("terms") or {}).items():
        parts = [_short((weighted.get(key) or {}).get("type", "")) for key in ("term", "matching")]
        found.append(
            {"kind": "term", "name": parts[0] or name, "text": parts[1] and f"by {parts[1]}"}
        )
    return found


def _listed(names: list[str]) -> str:
    """Names; many that begin alike are counted."""
    first = names[0].partition(".")[0]
    if len(names) > 2 and all(name.partition(".")[0] == first for name in names):
        return f"{len(names)} × {first}"
    return ", ".join(names)


def _short(reference: str) -> str:
    return reference.partition(":")[2] or reference


def _innermost(node: Mapping[str, Any]) -> Mapping[str, Any]:
    inner = node.get("dataset")
    return _innermost(inner) if isinstance(inner, Mapping) else node


def _json(path: Path) -> Any:
    if not path.exists():
        return None
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise DataError(str(error), where=str(path), remedy="remove the damaged file") from error


def _colours(name: str) -> list[list[int]]:
    import matplotlib as mpl

    shades = mpl.colormaps[name](np.linspace(0, 1, 64))[:, :3]
    return [[int(value) for value in row] for row in np.rint(255 * shades)]
