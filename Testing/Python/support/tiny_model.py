"""A model folder with a 48^3 network, fitted to the built-in phantom in a second, for tests whose subject is not the
result.

Its only entry has the id of the real default model, so that whatever names that model runs the small one. In this
process ``TomoRayLib.weights.models_folder`` is replaced; another one is started as ``worker_code`` says.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from TomoRayLib.anatomy.grey_levels import LookupTable
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.geometry.presets import c_arm
from TomoRayLib.jobs.demonstration_phantom import phantom_volumes
from TomoRayLib.networks.geolift import GeoLiftConfig, GeoLiftUNet
from TomoRayLib.networks.radiograph_input import network_input
from TomoRayLib.projector.physics.attenuation import hu_to_attenuation
from TomoRayLib.projector.projection import project
from TomoRayLib.synthesis.acquisition import vertebrae_center_mm
from TomoRayLib.synthesis.truth import ground_truth
from TomoRayLib.weights import LOOKUP_NAME, REGISTRY_NAME, find_model, models_folder, save_weights

SIZE = 48
FOV_MM = 256.0
LOGITS_PER_SHARE = 20.0
NETWORK = GeoLiftConfig(
    image_widths=(4, 8, 8, 8, 8),
    volume_widths=(4, 12, 8, 8, 8),
    convolutions=(1, 1, 1, 1, 1),
    output_size=SIZE,
    residual_heads=True,
)


def fitted_network(counts: bool = False) -> GeoLiftUNet:
    """Random features, and a head by least squares that finds the built-in phantom as a C-arm sees it.

    Only the head of the second level, of 24^3 voxels, has weights: its output enlarged is a smooth surface. One that
    ``counts`` says of each voxel that it is the centre of its vertebra, and that this is in the middle of the spine.
    """
    torch.manual_seed(0)
    ct, labels = phantom_volumes()
    center_mm = vertebrae_center_mm(labels)
    grid = Grid.cube(center_mm, FOV_MM, SIZE)
    truth = ground_truth(ct, labels, grid, LookupTable.linear())
    bone, grey = (_halved(torch.from_numpy(values)) for values in (truth.labels > 0, truth.grey))
    views = c_arm(center_mm)
    attenuation = hu_to_attenuation(torch.from_numpy(ct.voxels))
    images = [project(attenuation, ct.grid, view) for view in (views.ap, views.lateral)]
    network = GeoLiftUNet(dataclasses.replace(NETWORK, counts=counts)).eval()
    for head in [*network.heads, *([network.counter] if counts else [])]:
        nn.init.zeros_(head.weight)
        nn.init.zeros_(head.bias)
    seen: list[Tensor] = []
    head = network.heads[1]
    with torch.inference_mode(), head.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0])):
        network(*network_input(images, [views.ap, views.lateral], grid))
    columns = neighbourhoods(seen[0])
    share = least_squares(columns, bone)
    share[-1] -= (columns @ share).quantile(1 - bone.mean())  # as much bone as there is
    inside = bone > 0.5
    intensity = least_squares(columns[inside], torch.logit(grey[inside] / bone[inside], eps=0.02))
    with torch.no_grad():
        for output, row in enumerate((intensity, LOGITS_PER_SHARE * share)):
            head.weight[output] = row[:-1].view_as(head.weight[output])
            head.bias[output] = row[-1]
    return network


def _halved(volume: Tensor) -> Tensor:
    """Means of 2 x 2 x 2 voxels, in one row."""
    return F.avg_pool3d(volume[None, None].float(), 2).flatten()


def neighbourhoods(volume: Tensor) -> Tensor:
    """Inputs of a 3 x 3 x 3 convolution from (1, channels, z, y, x), one row for each voxel, and a 1 for bias."""
    cubes = F.pad(volume, (1,) * 6).unfold(2, 3, 1).unfold(3, 3, 1).unfold(4, 3, 1)
    rows = cubes[0].movedim(0, 3).reshape(volume[0, 0].numel(), -1)
    return torch.cat([rows, torch.ones(len(rows), 1)], dim=1)


def least_squares(columns: Tensor, wanted: Tensor) -> Tensor:
    """The weights, kept small, whose sums of columns come nearest to the wanted values."""
    columns, wanted = columns.double(), wanted.double()
    square = columns.T @ columns
    square += 1e-6 * square.diagonal().mean() * torch.eye(len(square), dtype=square.dtype)
    return torch.linalg.solve(square, columns.T @ wanted).float()


def write_tiny_model(folder: Path, counts: bool = False) -> None:
    """A registry with the fitted network in place of the default model, and that model's atlas and lookup table."""
    folder.mkdir(parents=True)
    real = find_model()
    content = json.loads((real.folder / REGISTRY_NAME).read_text(encoding="utf-8"))
    (entry,) = (model for model in content["models"] if model["id"] == real.id)
    file = folder / "tiny.safetensors"
    network = fitted_network(counts)
    entry["sha256"] = save_weights(network.state_dict(), file, {})
    entry |= {"file": file.name, "network": dataclasses.asdict(network.config)}
    entry["grid"] = {"size": SIZE, "fov_mm": FOV_MM}
    entry |= {"familiarity_file": None, "familiarity_sha256": None}  # those of the real weights mean nothing to these
    for name in (real.atlas_file, LOOKUP_NAME):
        shutil.copy(models_folder() / name, folder / name)
    (folder / REGISTRY_NAME).write_text(json.dumps({"default": real.id, "models": [entry]}), encoding="utf-8")


def worker_code(models: Path) -> str:
    """Python that runs the real worker with the models of a folder; its last argument is the job file."""
    return (
        "import sys\n"
        "from pathlib import Path\n"
        "from TomoRayLib import weights\n"
        f"weights.models_folder = lambda: Path({str(models)!r})\n"
        "from TomoRayLib.worker import main\n"
        "sys.exit(main([sys.argv[-1]]))\n"
    )
