"""The network's run: two radiographs and their geometry in, a synthetic CT out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from TomoRayLib.anatomy.grey_levels import LookupTable
from TomoRayLib.anatomy.vertebra_decoding import DecodedSpine, decode_vertebrae
from TomoRayLib.base.device_names import check_device_name
from TomoRayLib.base.errors import InputError
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.geometry.views import Biplanar
from TomoRayLib.images.resampling import Interpolation, resample
from TomoRayLib.images.types import Volume
from TomoRayLib.networks.geolift import HEAD_LEVELS, GeoLiftUNet, Prediction
from TomoRayLib.networks.precision import fast_precision
from TomoRayLib.networks.radiograph_input import network_input
from TomoRayLib.synthesis.result_checks import COARSE_SIZE
from TomoRayLib.synthesis.result_grid import model_grid, with_field_of_view
from TomoRayLib.synthesis.unusable_gpu import unusable_gpu
from TomoRayLib.weights import ModelEntry, find_model, kept_network

MASK_THRESHOLD = 0.5
LINEAR = LookupTable.linear()


@dataclass(frozen=True)
class SyntheticCT:
    """A synthetic CT: ``grey`` in [0, 1] and ``probability`` of bone, both (z, y, x) on ``grid`` (LPS mm).

    ``spine`` holds its vertebrae told apart and numbered, None from a model that does not count them.
    """

    grey: NDArray[np.float32]
    probability: NDArray[np.float32]
    grid: Grid
    model_id: str
    spine: DecodedSpine | None = None

    @property
    def mask(self) -> NDArray[np.bool_]:
        """Boolean (z, y, x): voxels that are bone more likely than not."""
        return self.probability > MASK_THRESHOLD

    def hu(self) -> Volume:
        """Return the synthetic CT in HU (int16), by the inverse of the linear table that the model was trained with.

        Everything but the vertebrae is at the lower end of the bone window.
        """
        return Volume(np.round(LINEAR.dequantise(self.grey)).astype(np.int16), self.grid)

    def bone(self) -> Volume:
        """Return the bone mask as a label volume (uint8, 1 = vertebra)."""
        return Volume(self.mask.astype(np.uint8), self.grid)

    def vertebrae(self) -> Volume:
        """Return the vertebrae in VerSe numbers (uint8), or the bone mask of a model that does not count them."""
        return self.bone() if self.spine is None else Volume(self.spine.labels, self.grid)

    def on_field_of_view(self, fov_mm: float) -> SyntheticCT:
        """Return the volume resampled to a cube with another edge, the same centre and as many voxels."""
        cube = with_field_of_view(self.grid, fov_mm)
        if cube is self.grid:
            return self
        grey, probability = (
            resample(Volume(values, self.grid), cube, Interpolation.LINEAR, fill=0.0).voxels
            for values in (self.grey, self.probability)
        )
        spine = None
        if self.spine is not None:
            labels = resample(Volume(self.spine.labels, self.grid), cube, Interpolation.NEAREST, fill=0).voxels
            spine = self.spine.on_grid(np.where(probability > MASK_THRESHOLD, labels, 0).astype(np.uint8), cube)
        return SyntheticCT(grey, probability, cube, self.model_id, spine)


def synthesize(
    ap: NDArray[np.float32],
    lateral: NDArray[np.float32],
    views: Biplanar,
    network: GeoLiftUNet,
    entry: ModelEntry,
    precision: torch.dtype | None = None,
) -> SyntheticCT:
    """Run the network on two radiographs.

    Args:
        ap: AP radiograph (rows, columns) on the detector of ``views.ap``, bone bright; scale and offset do not matter.
        lateral: Lateral radiograph (rows, columns) on the detector of ``views.lateral``, bone bright.
        views: Geometry of both, in LPS mm.
        network: From ``load_network(entry, device)``; it runs on the device where its parameters are.
        entry: The model's registry entry.
        precision: ``torch.float32`` forces full precision, without TF32; None: bfloat16 if the hardware has it.

    Returns:
        The synthetic CT on the model's cube about the isocentre of the views.
    """
    grid = model_grid(entry, views.isocenter_mm)
    prediction = _predict(ap, lateral, views, network, grid, precision, 0)
    probability = torch.sigmoid(prediction.mask_logit[0, 0].float())
    grey = prediction.intensity[0, 0].float() * probability
    bone = probability.cpu().numpy()
    spine = None
    if prediction.field is not None:
        spine = decode_vertebrae(bone > MASK_THRESHOLD, prediction.field[0].float().cpu().numpy(), grid)
    return SyntheticCT(grey.cpu().numpy(), bone, grid, entry.id, spine)


def coarse_probability(
    ap: NDArray[np.float32],
    lateral: NDArray[np.float32],
    views: Biplanar,
    network: GeoLiftUNet,
    entry: ModelEntry,
    precision: torch.dtype | None = None,
) -> NDArray[np.float32]:
    """Return the probability of bone (z, y, x) at the network's coarsest output, 48^3, in a tenth of the time.

    The arguments are as in ``synthesize``.
    """
    grid = model_grid(entry, views.isocenter_mm)
    logit = _predict(ap, lateral, views, network, grid, precision, coarse_level(entry)).mask_logit[0, 0]
    probability: NDArray[np.float32] = torch.sigmoid(logit.float()).cpu().numpy()
    return probability


def _predict(
    ap: NDArray[np.float32],
    lateral: NDArray[np.float32],
    views: Biplanar,
    network: GeoLiftUNet,
    grid: Grid,
    precision: torch.dtype | None,
    level: int,
) -> Prediction:
    """The network's output at one level, 0 the finest."""
    images = [torch.from_numpy(np.ascontiguousarray(image, dtype=np.float32)) for image in (ap, lateral)]
    return run_network(*network_input(images, [views.ap, views.lateral], grid), network, precision, level)


def run_network(
    radiographs: Tensor, matrices: Tensor, network: GeoLiftUNet, precision: torch.dtype | None, level: int
) -> Prediction:
    """Return the network's output at one level, 0 the finest, for the input that ``network_input`` makes."""
    device = next(network.parameters()).device
    dtype = precision or fast_precision(device)
    full = dtype == torch.float32
    with (
        torch.inference_mode(),
        torch.backends.cudnn.flags(allow_tf32=not full),
        torch.autocast(device.type, dtype, enabled=not full),
    ):
        return network(radiographs.to(device), matrices.to(device), levels=(level,))[level]


def coarse_level(entry: ModelEntry) -> int:
    """Return the level of the network's coarsest output, 48^3 of a model of 192^3."""
    return max(0, min(HEAD_LEVELS - 1, (entry.size // COARSE_SIZE).bit_length() - 1))


@dataclass(frozen=True)
class ChosenModel:
    """A model, the device that it runs on ("cpu", "cuda:0") and its precision."""

    entry: ModelEntry
    device: str
    precision: torch.dtype

    @property
    def precision_name(self) -> str:
        """``"float32"`` or ``"bfloat16"``."""
        return str(self.precision).removeprefix("torch.")

    def synthesize(self, ap: NDArray[np.float32], lateral: NDArray[np.float32], views: Biplanar) -> SyntheticCT:
        """Run ``synthesize``."""
        return synthesize(ap, lateral, views, self.network, self.entry, self.precision)

    @property
    def network(self) -> GeoLiftUNet:
        """The network on its device, which must not be changed: loaded when it is first asked for, and kept until
        another model is."""
        return kept_network(self.entry, self.device)


def choose_model(model: str | None, device: str, precision: str) -> ChosenModel:
    """Return the model of this id (None: the default one) with a device and a precision that are there.

    ``device`` is as in ``choose_device``, ``precision`` "auto" or "float32". Raises InputError for an unknown model or
    a device that does not exist.
    """
    entry, chosen = find_model(model), choose_device(device)
    full = precision == "float32"
    return ChosenModel(entry, chosen, torch.float32 if full else fast_precision(torch.device(chosen)))


def choose_device(wanted: str) -> str:
    """Choose the device that the network runs on.

    Args:
        wanted: ``"auto"`` (the first GPU if this PyTorch has code for it, else the CPU), ``"cpu"``, ``"cuda"`` or
            ``"cuda:<number>"``.

    Returns:
        The device as PyTorch names it.

    Raises:
        InputError: For any other text, and for a GPU that PyTorch does not find.
    """
    if wanted == "auto":
        return "cuda:0" if torch.cuda.is_available() and unusable_gpu() is None else "cpu"
    if wanted == "cpu":
        return wanted
    check_device_name(wanted)
    number = wanted.partition(":")[2]
    if int(number or 0) >= torch.cuda.device_count():
        found = torch.cuda.device_count()
        raise InputError(
            f"Expected a GPU for the device {wanted}, but PyTorch finds {found}; use cpu or auto.", "device"
        )
    return wanted
