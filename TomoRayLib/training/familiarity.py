"""What a training's radiographs look like to a published model, for ``synthesis.familiarity``: made and registered.

    python -m TomoRayLib.training.familiarity --data DATA [--model geolift-s]

Real CTs that may be trained on, those in DATA/bodies, DATA/verse and DATA/totalsegmentator, are X-rayed from the
training's random geometries, slot scans among them, and shown with its random appearances. From which distance on a
radiograph counts as unlike these is set on the people that trainings are chosen on, seen in the same ways. Nobody held
out for ever is looked at. The file goes beside the model's weights, and its name and hash into the registry; weights
that are published anew have none until this has run again.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from TomoRayLib.base.errors import InputError
from TomoRayLib.geometry.grid import Grid, Vector3
from TomoRayLib.images.files import read_volume
from TomoRayLib.images.resampling import resample
from TomoRayLib.images.subjects import is_of_subjects
from TomoRayLib.images.types import Volume
from TomoRayLib.networks.radiograph_input import normalise
from TomoRayLib.projector.projection import project
from TomoRayLib.synthesis.familiarity import (
    VIEWS,
    Familiarity,
    Gaussian,
    ImageFeatures,
    image_features,
    in_eight_bits,
    save_familiarity,
)
from TomoRayLib.training.data.augmentation import (
    AppearanceRanges,
    GeometryRanges,
    random_appearance,
    random_attenuation,
    random_views,
    with_told_offset,
)
from TomoRayLib.training.data.held_out import VALIDATION_SUBJECTS, is_held_out_for_ever
from TomoRayLib.training.data.samples import IsocenterRanges, random_isocenter
from TomoRayLib.training.data.scenes_of_cts import read_pair
from TomoRayLib.training.data.training_cases import find_labelled_cts
from TomoRayLib.training.phantoms.bodies import BODY_SPACING_MM, body_name, body_region
from TomoRayLib.training.phantoms.spine_removal import BONE_ABOVE_HU, refined_course, spine_course, spine_window
from TomoRayLib.training.registering import register_model
from TomoRayLib.weights import ModelEntry, find_model, load_network

DIRECTIONS_OF_TEXTURE, DIRECTIONS_OF_LAYOUT = 64, 48
GEOMETRY = GeometryRanges(slot_share=0.2)
SHOTS, LOOKS = 8, 5  # X-rays of each CT, and appearances of each
MARGIN_MM = 60.0  # from a CT's upper and lower end to the isocentre; a short CT's middle
FAR = 1.1  # times the largest distance of the people that the threshold is set on
LABELLED_FOLDERS = ("verse", "totalsegmentator")


@dataclass(frozen=True, eq=False)
class XrayedCT:
    """A CT to X-ray: ``hu`` (z, y, x) int16 on an axis-aligned LPS grid of 2 mm, and the course of its spine.

    ``course_mm`` (z, 2) is x and y of the spine's middle in each slice, in LPS mm.
    """

    name: str
    hu: Tensor
    grid: Grid
    course_mm: NDArray[np.float64]

    @property
    def is_chosen_on(self) -> bool:
        """True for a person that trainings are chosen on."""
        return is_of_subjects(self.name, VALIDATION_SUBJECTS)

    def place(self, rng: np.random.Generator) -> Vector3:
        """Return a random isocentre, as a training has it about the spine (LPS mm)."""
        low = self.grid.origin_mm[2]
        high = low + (len(self.hu) - 1) * self.grid.spacing_mm[2]
        margin_mm = min(MARGIN_MM, 0.4 * (high - low))
        z = float(rng.uniform(low + margin_mm, high - margin_mm))
        x, y = self.course_mm[round((z - low) / self.grid.spacing_mm[2])]
        off_x, off_y, _ = random_isocenter(rng, IsocenterRanges())
        return (float(x + off_x), float(y + off_y), z)


def find_cts(data: Path) -> Iterator[XrayedCT]:
    """Yield the real CTs of a data folder but those of people held out for ever."""
    for path in sorted((data / "bodies").glob("*.nii.gz")):
        if not is_held_out_for_ever(str(path)):
            yield xrayed_ct(body_name(path), read_volume(path))
    for folder in LABELLED_FOLDERS:
        for case in find_labelled_cts(data / folder)[0] if (data / folder).is_dir() else ():
            if not is_held_out_for_ever(case.name, str(case.ct)):
                yield xrayed_ct(case.name, read_pair(case)[0])


def xrayed_ct(name: str, ct: Volume) -> XrayedCT:
    """Put a CT on its grid of 2 mm and find the course of its spine. Raises InputError for one without bone."""
    corners = ct.grid.corners_mm()
    low, high = corners.min(axis=0), corners.max(axis=0)
    size = tuple(max(2, int((b - a) // BODY_SPACING_MM)) for a, b in zip(low, high, strict=True))
    origin = tuple(float(a) + BODY_SPACING_MM / 2 for a in low)
    grid = Grid(size, (BODY_SPACING_MM,) * 3, origin)  # type: ignore[arg-type]
    hu = resample(ct, grid).voxels.round().clip(-1024, 3071).astype(np.int16)
    region = body_region(hu)
    bone = region & (hu > BONE_ABOVE_HU)
    course_mm = refined_course(bone, spine_course(bone & spine_window(region, BODY_SPACING_MM), grid), grid)
    return XrayedCT(name, torch.from_numpy(hu), grid, course_mm)


def pairs_of(ct: XrayedCT, rng: np.random.Generator, shots: int = SHOTS, looks: int = LOOKS) -> Iterator[Tensor]:
    """Yield pairs (2, 2, 224, 224) of normalised radiographs as a training shows them: ``looks`` of each X-ray."""
    appearance = AppearanceRanges()
    for _ in range(shots):
        views = with_told_offset(random_views(rng, GEOMETRY).moved_to(ct.place(rng)), rng, GEOMETRY)
        attenuation = random_attenuation(ct.hu, rng, appearance)
        integrals = [project(attenuation, ct.grid, view) for view in views]
        for _ in range(looks):
            yield torch.stack([normalise(random_appearance(image, rng, appearance)) for image in integrals])


def fitted(features: NDArray[np.float32], chosen_on: NDArray[np.float32], count: int) -> Gaussian:
    """Describe one kind of a training's features by a Gaussian for each view.

    Args:
        features: (m, 2, n) of m pairs of radiographs.
        chosen_on: (l, 2, n) likewise, of the people that the largest usual distance is set on.
        count: Number of main directions.

    Returns:
        The Gaussians, their directions rounded as they are stored.
    """
    mean, scale = features.mean(axis=0), features.std(axis=0) + 1e-6
    directions, variances = [], []
    for view in range(len(VIEWS)):
        scaled = (features[:, view].astype(np.float64) - mean[view]) / scale[view]
        _, singular, rows = np.linalg.svd(scaled, full_matrices=False)
        along = singular**2 / len(scaled)
        directions.append(rows[:count])
        variances.append([*along[:count], along[count:].sum() / (scaled.shape[1] - count)])
    stored, steps = in_eight_bits(np.stack(directions))
    known = Gaussian(
        mean=mean.astype(np.float32),
        scale=scale.astype(np.float32),
        directions=stored.astype(np.float32) * steps,
        variances=np.asarray(variances, dtype=np.float32),
        largest=np.zeros(len(VIEWS), dtype=np.float32),
    )
    largest = FAR * np.max([known.distances(one) for one in chosen_on], axis=0)
    return replace(known, largest=largest.astype(np.float32))


def familiarity_of(trained_on: Sequence[ImageFeatures], chosen_on: Sequence[ImageFeatures]) -> Familiarity:
    """Describe the features of pairs of radiographs, AP and lateral: those to fit, and those to set thresholds on."""
    texture, layout = (
        fitted(np.stack([one[kind] for one in trained_on]), np.stack([one[kind] for one in chosen_on]), count)
        for kind, count in enumerate((DIRECTIONS_OF_TEXTURE, DIRECTIONS_OF_LAYOUT))
    )
    return Familiarity(texture, layout)


def make_familiarity(data: Path, entry: ModelEntry, report: Callable[[str], None] = print) -> Familiarity:
    """X-ray the CTs of a data folder and describe what a model's encoder sees in them.

    Raises InputError for a folder with too few CTs.
    """
    network = load_network(entry)
    trained_on: list[ImageFeatures] = []
    chosen_on: list[ImageFeatures] = []
    for number, ct in enumerate(find_cts(data)):
        found = [image_features(pair, network) for pair in pairs_of(ct, np.random.default_rng((11, number)))]
        (chosen_on if ct.is_chosen_on else trained_on).extend(found)
        report(f"{ct.name}: {len(found)} pairs, {'to set the threshold' if ct.is_chosen_on else 'to fit'}")
    if len(trained_on) <= DIRECTIONS_OF_TEXTURE or not chosen_on:
        raise InputError(
            "Expected X-rays of two CTs or more to fit, and of a person that models are chosen on, got "
            f"{len(trained_on)} and {len(chosen_on)} pairs from {data}; give the folder that holds bodies, verse and "
            "totalsegmentator.",
            "data",
        )
    return familiarity_of(trained_on, chosen_on)


def main() -> None:
    """Make the file of one model and register it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", default=None, help="id in the registry; the default model without it")
    options = parser.parse_args()
    entry = find_model(options.model)
    known = make_familiarity(options.data, entry)
    name = f"{entry.id}-familiarity.safetensors"
    sha256 = save_familiarity(known, entry.folder / name, entry)
    register_model(entry.folder, replace(entry, familiarity_file=name, familiarity_sha256=sha256))
    print(f"{name}: {(entry.folder / name).stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
