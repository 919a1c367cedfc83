"""One model's scores on one person: the comparison's table, sharpness, and vertebrae found and named."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from held_out_people import PersonCase
from numpy.typing import NDArray

import TomoRayLib
from TomoRayLib.anatomy.grey_levels import vertebra_mask
from TomoRayLib.anatomy.vertebra_decoding import DecodedSpine, decode_vertebrae
from TomoRayLib.anatomy.vertebra_naming import UNSURE
from TomoRayLib.base.hashes import sha256_of_bytes
from TomoRayLib.base.text_formats import write_json
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.metrics.disc_gaps import disc_gaps
from TomoRayLib.metrics.discs import Disc, discs_between
from TomoRayLib.metrics.endplates import endplate_sharpness
from TomoRayLib.metrics.scores import COLUMN_OF_KEY, MetricColumn
from TomoRayLib.metrics.spectrum import compare_spectra
from TomoRayLib.metrics.statistics import CaseScore
from TomoRayLib.metrics.table import BLANK, MEAN_ATLAS
from TomoRayLib.metrics.vertebra_counts import VertebraCounts, count_vertebrae
from TomoRayLib.metrics.vertebra_pooling import CountedCase
from TomoRayLib.networks.geolift import COUNT_LEVEL, HEAD_LEVELS, GeoLiftUNet, Prediction
from TomoRayLib.networks.radiograph_input import network_input
from TomoRayLib.synthesis.comparison import compare, placed_atlas
from TomoRayLib.synthesis.model_run import LINEAR, MASK_THRESHOLD, SyntheticCT, synthesize
from TomoRayLib.synthesis.result_grid import model_grid
from TomoRayLib.synthesis.truth import GroundTruth, ground_truth
from TomoRayLib.training.data.licences import SourceUse, recorded_sources
from TomoRayLib.training.data.roles import uses_in_registry
from TomoRayLib.training.engine.checkpoints import averaged_geolift
from TomoRayLib.weights import ModelEntry, find_model, load_network

SCORING = 1  # raise it if a score's definition changes: kept scores are then made again
COUNTING = 1  # likewise for counts of vertebrae, which only networks that tell them apart have
MODEL, TRUTH = "tomoray", "truth"
Row = dict[str, float]


def _columns() -> tuple[MetricColumn, ...]:
    names = ("cosine_similarity", "dice", "psnr_3d_db", "assd_mm", "hd95_mm", "nsd_2mm", "mae_in_mask_hu")
    own = {key: COLUMN_OF_KEY[key] for key in names}
    gain = MetricColumn("gain_db", "PSNR over blank", "dB", 2, True, "PSNR 3D less that of an empty volume.")
    found = "Share of whole vertebrae with a predicted centroid within 10 mm."
    spectrum = "Spectral power over the truth's at these wavelengths."
    same = "Fourier shell correlation with the truth at these wavelengths."
    rise = "10 to 90 % rise of the grey values across endplates, where there is an edge; the truth has its own."
    bands = (("16", "8"), ("8", "4"))
    return (
        own["cosine_similarity"],
        own["dice"],
        gain,
        *(own[key] for key in names[3:]),
        MetricColumn("found", "Vertebrae found", "", 2, True, found),
        MetricColumn("named", "Vertebrae named right", "", 2, True, "Share found under their own name."),
        MetricColumn("named_up_to_shift", "Named right up to a shift", "", 2, True, "All names moved alike."),
        MetricColumn(
            "gaps_in_mask", "Disc gaps in the mask", "", 2, True, "Share of true discs that the mask leaves open."
        ),
        MetricColumn(
            "gaps_in_grey", "Disc gaps in grey", "", 2, True, "Share of true discs that fall to half between."
        ),
        MetricColumn("endplate_edges", "Endplates with an edge", "", 2, True, "A quarter of the true step or more."),
        MetricColumn("endplate_rise_mm", "Endplate rise", "mm", 1, False, rise),
        *(MetricColumn(f"power_{a}_{b}_mm", f"Power {a} to {b} mm", "", 2, True, spectrum) for a, b in bands),
        *(MetricColumn(f"agreement_{a}_{b}_mm", f"Agreement {a} to {b} mm", "", 2, True, same) for a, b in bands),
    )


MEASURES = _columns()


@dataclass(frozen=True, eq=False)
class Contestant:
    """A model to score. ``level`` is the finest level of its network that was trained (0: 192^3)."""

    name: str
    entry: ModelEntry
    network: GeoLiftUNet
    level: int
    weights_sha256: str
    uses: tuple[SourceUse, ...]

    @property
    def folder(self) -> str:
        """A name for its kept results."""
        return f"{self.name}-{self.weights_sha256[:8]}".replace("/", "_")


def published(model: str | None, level: int = 0) -> Contestant:
    """A model of the registry (None: the default one), at a level of its network. Raises InputError without one."""
    entry = find_model(model)
    uses = (*uses_in_registry(entry.data), *recorded_sources(entry.path))
    weights_sha256 = entry.sha256
    if entry.based_on is not None:  # its file holds what it changes of another model
        weights_sha256 = sha256_of_bytes(f"{entry.sha256} {entry.based_on['sha256']}".encode())
    return Contestant(entry.id, entry, load_network(entry), level, weights_sha256, uses)


def of_checkpoint(path: Path, level: int | None = None, name: str | None = None) -> Contestant:
    """The averaged weights of a run's checkpoint, or published weights, with the mean atlas of the default model.

    ``level`` is the finest one that was trained; without it the one of the config.json beside the checkpoint, else that
    of its samples, which may be finer. Without ``name`` it is called by its folders.
    Raises InputError for a file that is none of GeoLift.
    """
    config, weights = averaged_geolift(path)
    network = GeoLiftUNet(config)
    network.load_state_dict(weights)
    name = name or "/".join(path.resolve().with_suffix("").parts[-3:])
    if level is None:
        level = 0 if path.suffix == ".safetensors" else _level_of(path, config.output_size)
    content = sha256_of_bytes(path.read_bytes())
    entry = replace(find_model(), id=name, sha256=content)
    ready = network.to_channels_last().eval()
    return Contestant(name, entry, ready, level, content, recorded_sources(path))


def _level_of(checkpoint: Path, output_size: int) -> int:
    config = checkpoint.parent / "config.json"
    if config.is_file():
        return int(json.loads(config.read_text(encoding="utf-8"))["training"]["finest_level"])
    stream = torch.load(checkpoint, map_location="cpu", weights_only=True, mmap=True).get("stream") or {}
    size = int(stream.get("size") or output_size)
    return min(HEAD_LEVELS - 1, max(0, (output_size // size).bit_length() - 1))


def made_with(case_inputs: Mapping[str, str], contestant: Contestant) -> dict[str, Any]:
    """Everything that a record of scores depends on, as it comes back from JSON."""
    return {
        "scoring": SCORING,
        **({"counting": COUNTING} if contestant.network.config.counts else {}),
        "tomoray": TomoRayLib.__version__,
        "weights_sha256": contestant.weights_sha256,
        "atlas_sha256": contestant.entry.atlas_sha256,
        "level": contestant.level,
        "inputs_sha256": dict(case_inputs),
    }


def kept_rows(path: Path, wanted: Mapping[str, Any]) -> dict[str, Row] | None:
    """The rows of an earlier run, if they were made with the same files, weights and definitions."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if record.get("made_with") != wanted:
        return None
    return {row: {key: _back(value) for key, value in values.items()} for row, values in record["rows"].items()}


def score(case: PersonCase, contestant: Contestant, wanted: Mapping[str, Any], path: Path) -> dict[str, Row]:
    """Score a case and keep record and volumes at ``path`` (.json and .npz). Rows: model, blank, mean atlas, truth."""
    begun = time.monotonic()
    synthetic = _synthetic(case, contestant)
    truth = ground_truth(case.ct, case.labels, synthetic.grid, LINEAR)
    table = compare(synthetic, truth, contestant.entry).to_json_dict()
    scores = CaseScore.from_metrics(case.person.name, case.person.name, table).rows
    rows = {
        row: {**values, "gain_db": values["psnr_3d_db"] - scores[BLANK]["psnr_3d_db"]} for row, values in scores.items()
    }
    atlas = placed_atlas(contestant.entry, truth)
    volumes = {
        MODEL: (synthetic.grey, synthetic.mask),
        BLANK: (np.zeros_like(truth.grey), np.zeros(truth.grey.shape, bool)),
        MEAN_ATLAS: (atlas.grey, atlas.probability > MASK_THRESHOLD),
        TRUTH: (truth.grey, vertebra_mask(truth.labels)),
    }
    discs = discs_between(truth.vertebrae().voxels, truth.grid.spacing_mm)
    for row, (grey, mask) in volumes.items():
        rows.setdefault(row, {}).update(_sharpness(np.clip(grey, 0, 1), mask, truth, discs))
    rows[MODEL].update(_counts(case, _spine(case, contestant, synthetic), truth))
    write_json(
        path,
        {
            "person": case.person.name,
            "model": contestant.name,
            "seconds": round(time.monotonic() - begun, 1),
            "made_with": dict(wanted),
            "vertebrae": table["per_vertebra"],
            "rows": {row: {key: _forth(value) for key, value in values.items()} for row, values in rows.items()},
        },
    )
    grey8 = [np.round(np.clip(grey, 0, 1) * 255).astype(np.uint8) for grey in (synthetic.grey, truth.grey)]
    np.savez_compressed(
        path.with_suffix(".npz"),
        synthetic=grey8[0],
        mask=synthetic.mask,
        truth=grey8[1],
        labels=truth.vertebrae().voxels,
        spacing_mm=truth.grid.spacing_mm,
    )
    return rows


def _synthetic(case: PersonCase, contestant: Contestant) -> SyntheticCT:
    """The synthetic CT as ``tomoray synthesize`` makes it; one of a coarser level is enlarged to the model's grid."""
    if contestant.level == 0:
        return synthesize(case.ap, case.lateral, case.views, contestant.network, contestant.entry)
    grid = model_grid(contestant.entry, case.views.isocenter_mm)
    prediction = _predicted(case, contestant, grid, contestant.level)
    coarse = (prediction.masked.float(), torch.sigmoid(prediction.mask_logit.float()))
    grey, probability = (
        F.interpolate(values, size=grid.shape, mode="trilinear", align_corners=False)[0, 0].numpy() for values in coarse
    )
    return SyntheticCT(grey, probability, grid, contestant.entry.id)


def _spine(case: PersonCase, contestant: Contestant, synthetic: SyntheticCT) -> DecodedSpine | None:
    """The vertebrae on the grid of the synthetic CT, if the network counts; its field is the same for all levels."""
    field = _predicted(case, contestant, synthetic.grid, COUNT_LEVEL).field
    if field is None:
        return None
    return decode_vertebrae(synthetic.mask, field[0].float().numpy(), synthetic.grid)


def _predicted(case: PersonCase, contestant: Contestant, grid: Grid, level: int) -> Prediction:
    images = [torch.from_numpy(np.ascontiguousarray(image, np.float32)) for image in (case.ap, case.lateral)]
    radiographs, matrices = network_input(images, [case.views.ap, case.views.lateral], grid)
    with torch.inference_mode():
        return contestant.network(radiographs, matrices, levels=(level,))[level]


def _sharpness(grey: NDArray[Any], mask: NDArray[np.bool_], truth: GroundTruth, discs: tuple[Disc, ...]) -> Row:
    spacing_mm = truth.grid.spacing_mm
    edges = endplate_sharpness(grey, truth.grey, discs, spacing_mm)
    gaps = disc_gaps(grey, mask, discs, spacing_mm)
    row = {
        "endplate_rise_mm": edges.rise_mm,
        "endplate_contrast": edges.contrast,
        "endplate_edges": edges.edge_share,
        "gaps_in_mask": gaps.mask_share,
        "gaps_in_grey": gaps.grey_share,
    }
    for band in compare_spectra(grey, truth.grey, vertebra_mask(truth.labels), spacing_mm):
        name = f"{band.from_mm:g}_{band.to_mm:g}_mm"
        row |= {f"power_{name}": band.power_ratio, f"agreement_{name}": band.agreement}
    return row


def _counts(case: PersonCase, spine: DecodedSpine | None, truth: GroundTruth) -> Row:
    """Vertebrae found and named, if the model tells them apart; undefined if it does not."""
    if spine is None:
        return dict.fromkeys(("found", "named", "named_up_to_shift"), math.nan)
    counts = count_vertebrae(spine.labels, truth.vertebrae().voxels, truth.grid.spacing_mm, case.cut)
    shares = (counts.found_share, counts.named_share, counts.named_up_to_shift_share)
    return {
        **dict(zip(("found", "named", "named_up_to_shift"), shares, strict=True)),
        **{f"count_{key}": float(value) for key, value in counts.to_json_dict().items()},
        "numbering_unsure": float(spine.numbering == UNSURE),
    }


def counted_case(row: Row) -> CountedCase | None:
    """The counts in a model's row; None if it does not tell vertebrae apart."""
    if "numbering_unsure" not in row:
        return None
    names = [field.name for field in fields(VertebraCounts)]
    counts = VertebraCounts(**{name: int(row[f"count_{name}"]) for name in names})
    return CountedCase(counts, bool(row["numbering_unsure"]))


def _forth(value: float) -> float | str:
    """JSON has neither infinity nor NaN."""
    return value if math.isfinite(value) else str(value)


def _back(value: float | str) -> float:
    return float(value)
