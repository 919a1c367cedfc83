"""A small CT segmenter, fitted to one CT in seconds: random features, and heads by least squares.

It is a ``CTSegmenter`` as any other, which knows one CT by heart and nothing else.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from support.tiny_model import least_squares, neighbourhoods
from TomoRayLib.anatomy.vertebra_field import vertebra_field
from TomoRayLib.images.resampling import labels_on_grid
from TomoRayLib.images.types import Volume
from TomoRayLib.networks.ct_segmenter import CTSegmenter, CTSegmenterConfig, normalised_hu
from TomoRayLib.segmentation.ct_vertebrae import bone_part
from TomoRayLib.segmentation.tiles import AxisTiles
from TomoRayLib.weights import REGISTRY_NAME, save_weights

NETWORK = CTSegmenterConfig((16, 16, 16, 16, 16))
LOGITS_PER_SHARE = 12.0


def segmenter_of(ct: Volume, labels: Volume) -> CTSegmenter:
    """A network that finds the labels in this CT, whose bone is to fit one tile."""
    torch.manual_seed(0)
    network = CTSegmenter(NETWORK).eval()
    part = bone_part(ct)
    assert part is not None
    edges = [AxisTiles.of(length).edge for length in part.grid.shape]
    pads = [
        pair for edge, length in zip(edges[::-1], part.grid.shape[::-1], strict=True) for pair in (0, edge - length)
    ]
    given = F.pad(normalised_hu(torch.from_numpy(part.voxels)), pads, value=-2.5)[None, None]
    on_part = labels_on_grid(labels, part.grid).voxels
    field = torch.from_numpy(vertebra_field(on_part, part.grid)[0])
    bone = F.pad(torch.from_numpy((on_part > 0).astype("float32")), pads)
    seen: dict[str, Tensor] = {}
    hooks = [
        head.register_forward_pre_hook(lambda _, inputs, name=name: seen.update({name: inputs[0]}))
        for name, head in (("mask", network.mask), ("field", network.field))
    ]
    with torch.inference_mode():
        network(given)
    for hook in hooks:
        hook.remove()
    columns = neighbourhoods(seen["mask"])
    some = bone.flatten() > 0
    some[::5] = True  # of the rest a fifth is enough
    share = least_squares(columns[some], bone.flatten()[some][:, None])
    share[-1] -= (columns @ share).flatten().quantile(float(1 - bone.mean()))  # as much bone as there is
    _set(network.mask, LOGITS_PER_SHARE * share)
    coarse_bone = F.avg_pool3d(bone[None, None], 2).flatten()
    coarse_field = F.avg_pool3d(F.pad(field, pads)[None], 2).flatten(2)[0] / coarse_bone.clamp(min=1e-3)
    inside = coarse_bone > 0.3
    _set(network.field, least_squares(neighbourhoods(seen["field"])[inside], coarse_field[:, inside].T))
    return network


def add_segmenter(models: Path, network: CTSegmenter, folder: Path) -> None:
    """Copy a folder of models to a new one, with the network as its segmenter."""
    shutil.copytree(models, folder)
    content = json.loads((folder / REGISTRY_NAME).read_text(encoding="utf-8"))
    file = folder / "tiny-segmenter.safetensors"
    entry = {
        "id": "tiny-segmenter",
        "file": file.name,
        "sha256": save_weights(network.state_dict(), file, {}),
        "network": dataclasses.asdict(network.config),
        "licence": "Apache-2.0",
        "data": [{"name": "a column", "use": "trained on"}],
        "training_command": "pytest",
        "figures": {},
    }
    content |= {"segmenters": [entry], "default_segmenter": entry["id"]}
    (folder / REGISTRY_NAME).write_text(json.dumps(content), encoding="utf-8")


def _set(head: nn.Conv3d, columns: Tensor) -> None:
    """Give a head its weights and bias from (inputs and 1, outputs)."""
    with torch.no_grad():
        head.weight.copy_(columns[:-1].T.reshape(head.weight.shape))
        assert head.bias is not None
        head.bias.copy_(columns[-1])
