"""The main job: two radiographs and their geometry in, a synthetic CT out."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from TomoRayLib.anatomy.grey_levels import LookupTable, vertebra_mask
from TomoRayLib.base.errors import InputError
from TomoRayLib.geometry.grid import Grid, Vector3
from TomoRayLib.geometry.views import Biplanar
from TomoRayLib.images.resampling import Interpolation, resample
from TomoRayLib.images.types import Volume
from TomoRayLib.networks.geolift import GeoLiftUNet
from TomoRayLib.networks.radiograph_input import network_input
from TomoRayLib.networks.registry import ModelEntry
from TomoRayLib.projector.physics.attenuation import hu_to_attenuation, water_attenuation_per_mm
from TomoRayLib.projector.projection import project

MASK_THRESHOLD = 0.5
LINEAR = LookupTable.linear()


@dataclass(frozen=True)
class SyntheticCT:
    """What a synthesis returns: ``grey`` in [0, 1] and ``probability`` of bone, both (z, y, x) on ``grid``."""

    grey: NDArray[np.float32]
    probability: NDArray[np.float32]
    grid: Grid
    model_id: str

    @property
    def mask(self) -> NDArray[np.bool_]:
        """Vertebrae: where bone is more likely than not."""
        return self.probability > MASK_THRESHOLD

    def hu(self) -> Volume:
        """The synthetic CT in HU, through the inverse of the linear table it was trained with; surroundings are the
        window's lower end."""
        return Volume(np.round(LINEAR.dequantise(self.grey)).astype(np.int16), self.grid)

    def vertebrae(self) -> Volume:
        """The bone mask as a label volume (1 = vertebra)."""
        return Volume(self.mask.astype(np.uint8), self.grid)

    def on_field_of_view(self, fov_mm: float) -> SyntheticCT:
        """The same volume on a cube of another edge about the same centre, with as many voxels."""
        if abs(fov_mm - self.grid.extent_mm[0]) < 1e-6:
            return self
        cube = Grid.cube(self.grid.center_mm, fov_mm, self.grid.size[0])
        grey, probability = (
            resample(Volume(values, self.grid), cube, Interpolation.LINEAR, fill=0.0).voxels
            for values in (self.grey, self.probability)
        )
        return SyntheticCT(grey, probability, cube, self.model_id)


def model_grid(entry: ModelEntry, isocenter_mm: Vector3) -> Grid:
    """The grid that a model fills: its cube about the isocentre."""
    return Grid.cube(isocenter_mm, entry.fov_mm, entry.size)


def synthesize(
    ap: NDArray[np.float32],
    lateral: NDArray[np.float32],
    views: Biplanar,
    network: GeoLiftUNet,
    entry: ModelEntry,
    precision: torch.dtype | None = None,
) -> SyntheticCT:
    """Run the network on two bone-bright radiographs (rows, columns), each on the detector of its view.

    ``precision`` float32 forces full precision (no TF32 either); None takes bfloat16 where the hardware has it.
    """
    grid = model_grid(entry, views.isocenter_mm)
    images = [torch.from_numpy(np.ascontiguousarray(image, dtype=np.float32)) for image in (ap, lateral)]
    radiographs, matrices = network_input(images, [views.ap, views.lateral], grid)
    device = next(network.parameters()).device
    dtype = precision or fast_precision(device)
    full = dtype == torch.float32
    with (
        torch.inference_mode(),
        torch.backends.cudnn.flags(allow_tf32=not full),
        torch.autocast(device.type, dtype, enabled=not full),
    ):
        prediction = network(radiographs.to(device), matrices.to(device))[0]
    probability = torch.sigmoid(prediction.mask_logit[0, 0].float())
    grey = prediction.intensity[0, 0].float() * probability
    return SyntheticCT(grey.cpu().numpy(), probability.cpu().numpy(), grid, entry.id)


def fast_precision(device: torch.device) -> torch.dtype:
    """bfloat16 where the hardware multiplies it (AVX-512 BF16, AMX, CUDA from Ampere on), float32 elsewhere."""
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.get_device_capability(device) >= (8, 0) else torch.float32
    has_bfloat16 = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    return torch.bfloat16 if has_bfloat16() else torch.float32


def choose_device(wanted: str) -> str:
    """``auto`` takes the first GPU, else the CPU; ``cpu``, ``cuda`` and ``cuda:1`` are taken at their word."""
    if wanted == "auto":
        return "cuda:0" if torch.cuda.is_available() else "cpu"
    if wanted == "cpu":
        return wanted
    kind, _, number = wanted.partition(":")
    if kind != "cuda" or not (number.isdecimal() or wanted == "cuda"):
        raise InputError(f"Expected the device auto, cpu, cuda or cuda:<number>, got {wanted!r}; choose one of these.")
    if int(number or 0) >= torch.cuda.device_count():
        found = torch.cuda.device_count()
        raise InputError(f"Expected a GPU for --device {wanted}, but PyTorch finds {found}; use --device cpu or auto.")
    return wanted


def render_radiographs(
    ct: Volume, views: Biplanar, energy_kev: float | None = None
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """AP and lateral line integrals (rows, columns), dimensionless, of the full CT in HU.

    Attenuation is plastimatch's (water at 50 keV, 0.022 / mm) or, with ``energy_kev``, that of water at this energy.
    """
    hu = torch.from_numpy(np.ascontiguousarray(ct.voxels, dtype=np.float32))
    try:
        water = {} if energy_kev is None else {"water_per_mm": water_attenuation_per_mm(energy_kev)}
    except ValueError as error:
        raise InputError(str(error)) from None
    attenuation = hu_to_attenuation(hu, **water)
    ap, lateral = (_rendered(attenuation, ct.grid, views, name) for name in ("ap", "lateral"))
    return ap, lateral


def _rendered(attenuation: Tensor, grid: Grid, views: Biplanar, name: str) -> NDArray[np.float32]:
    try:
        with warnings.catch_warnings():  # a view that misses is the caller's to report, with the isocentre's origin
            warnings.filterwarnings("ignore", message="Every ray misses", category=RuntimeWarning)
            return project(attenuation, grid, getattr(views, name)).numpy()
    except ValueError as error:
        raise InputError(str(error)) from None


def vertebrae_center_mm(labels: Volume) -> Vector3:
    """LPS position of the middle of the bounding box of all vertebrae, the isocentre of a case with segmentation."""
    mask = vertebra_mask(labels.voxels)
    ends = [np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis)))[[0, -1]] for axis in (2, 1, 0)]
    corners = np.array([[i, j, k, 1] for i in ends[0] for j in ends[1] for k in ends[2]], dtype=float)
    world = (labels.grid.index_to_world @ corners.T).T[:, :3]
    x, y, z = ((world.min(axis=0) + world.max(axis=0)) / 2).tolist()
    return (x, y, z)
