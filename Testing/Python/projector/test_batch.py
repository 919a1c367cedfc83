"""Batches of volumes: the images and gradients of each, few operations, bounded memory, and the same on a GPU."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from support.poses import IDENTITY, OBLIQUE
from TomoRayLib.geometry.beams import ConeBeam, ParallelBeam, SlotScan
from TomoRayLib.geometry.detector import Detector
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.geometry.projection_matrix import Camera, ProjectionMatrix
from TomoRayLib.geometry.views import View
from TomoRayLib.projector import Projector, kept_plans, project, project_posed, rays_of, trace_rays
from TomoRayLib.projector.backends import torch_slabs
from TomoRayLib.projector.backends.work_limits import CPU, GPU, WorkLimits
from TomoRayLib.projector.physics import (
    add_noise,
    add_scatter,
    hu_to_attenuation,
    kramers_spectrum,
    log_signal,
    polyenergetic_transmission,
    transmission,
    water_and_bone,
)

CONE = ConeBeam(600.0, 900.0)
# blocks of unequal slices, sums in unequal parts, batches of unequal size; then all at once
SMALL = WorkLimits(slices=5, volumes=2, block_bytes=2**20, layers_per_sum=3)
LIMITS = {"CPU": CPU, "small": SMALL, "GPU": GPU}


def a_view(beam: object, *pose: float, detector: Detector | None = None) -> View:
    detector = detector or Detector(22, 26, (3.0, 2.2), (3.0, -4.0))
    return View(beam, detector, *pose, isocenter_mm=(4.0, -3.0, 2.0))  # type: ignore[arg-type]


CAMERAS: dict[str, tuple[Camera, tuple[float, ...]]] = {
    "AP": (a_view(CONE), IDENTITY),
    "lateral": (a_view(CONE, 90.0), IDENTITY),
    "AP on its side": (a_view(CONE, 0.0, 0.0, 90.0), IDENTITY),
    "oblique": (a_view(CONE, 33.0, 12.0, 5.0), OBLIQUE),
    "oblique lateral": (a_view(CONE, 80.0, 12.0, 5.0), OBLIQUE),
    "main axis z": (a_view(CONE, 0.0, 80.0), OBLIQUE),
    "parallel": (a_view(ParallelBeam(), 25.0, -10.0, 30.0), IDENTITY),
    "slot": (a_view(SlotScan(900.0, 1300.0), 20.0), IDENTITY),
    "matrix": (ProjectionMatrix.of_view(a_view(CONE, 33.0, 12.0, 5.0)), OBLIQUE),
}


def a_grid(direction: tuple[float, ...] = IDENTITY) -> Grid:
    """19 x 13 x 9 voxels of 1.5 x 2 x 2.5 mm, some 7 mm off the isocentre."""
    return Grid((19, 13, 9), (1.5, 2.0, 2.5), (-15.0, -9.0, -12.0), direction)


def noise(*shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(7), dtype=dtype)


def image_and_gradient(volume: Tensor, grid: Grid, camera: Camera, weights: Tensor, method: str) -> tuple[Tensor, ...]:
    volume = volume.detach().requires_grad_()
    image = project(volume, grid, camera, method=method)  # type: ignore[arg-type]
    return image.detach(), *torch.autograd.grad((image * weights).sum(), volume)


@pytest.fixture
def a_limit(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[WorkLimits]:
    """The sizes that a device would have, on the CPU."""
    kept_plans.forget()
    monkeypatch.setattr(torch_slabs, "limits_of", lambda device: LIMITS[request.param])
    yield LIMITS[request.param]
    kept_plans.forget()


@pytest.mark.parametrize("a_limit", LIMITS, indirect=True)
@pytest.mark.parametrize("name", CAMERAS)
def test_slabs_give_a_batch_the_images_and_gradients_of_its_volumes(name: str, a_limit: WorkLimits) -> None:
    """Against one volume at a time, in blocks and sums of one slice."""
    camera, direction = CAMERAS[name]
    grid = a_grid(direction)
    batch, weights = noise(5, *grid.shape), noise(5, *camera.shape)
    images, gradients = image_and_gradient(batch, grid, camera, weights, "slabs")
    kept_plans.forget()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch_slabs, "limits_of", lambda device: WorkLimits(1, 1, 2**20, 1))
        for n in range(5):
            image, gradient = image_and_gradient(batch[n], grid, camera, weights[n], "slabs")
            torch.testing.assert_close(images[n], image, rtol=1e-12, atol=1e-12)
            torch.testing.assert_close(gradients[n], gradient, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ["AP", "oblique", "parallel"])
def test_rays_give_a_batch_the_images_and_gradients_of_its_volumes(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In chunks that do not hold all rays, fewer of them for more volumes."""
    camera, direction = CAMERAS[name]
    grid = a_grid(direction)
    batch, weights = noise(5, *grid.shape), noise(5, *camera.shape)
    expected = [image_and_gradient(batch[n], grid, camera, weights[n], "rays") for n in range(5)]
    monkeypatch.setattr("TomoRayLib.projector.rays.CHUNK_SAMPLES", 4000)
    monkeypatch.setattr("TomoRayLib.projector.rays.CHUNK_VOLUMES", 2)
    images, gradients = image_and_gradient(batch, grid, camera, weights, "rays")
    torch.testing.assert_close(images, torch.stack([image for image, _ in expected]), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(gradients, torch.stack([gradient for _, gradient in expected]), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("a_limit", ["CPU", "small", "GPU"], indirect=True)
@pytest.mark.parametrize("name", CAMERAS)
def test_the_adjoint_of_a_batch_passes_the_dot_test_in_float32(name: str, a_limit: WorkLimits) -> None:
    """<A x, g> = <x, A' g> to 1e-5, for each volume: g of one volume must not reach another."""
    camera, direction = CAMERAS[name]
    grid = a_grid(direction)
    batch, weights = noise(3, *grid.shape, dtype=torch.float32), noise(3, *camera.shape, dtype=torch.float32)
    images, gradients = image_and_gradient(batch, grid, camera, weights, "slabs")
    forward = (images.double() * weights).sum(dim=(1, 2))
    back = (gradients.double() * batch).sum(dim=(1, 2, 3))
    torch.testing.assert_close(back, forward, rtol=1e-5, atol=0.0)


@pytest.mark.parametrize("a_limit", ["GPU"], indirect=True)
def test_a_large_volume_seen_along_x_is_transposed_in_parts_for_a_batch_too(
    a_limit: WorkLimits, monkeypatch: pytest.MonkeyPatch
) -> None:
    camera, grid = a_view(CONE, 90.0), Grid((45, 13, 9), (1.0, 2.0, 2.5), (-20.0, -9.0, -12.0))
    batch, weights = noise(3, *grid.shape), noise(3, *camera.shape)
    whole = image_and_gradient(batch, grid, camera, weights, "slabs")
    for slices in (7, 100):  # of 45: parts of one volume, two volumes together
        kept_plans.forget()
        monkeypatch.setattr(torch_slabs, "TRANSPOSED_BYTES", 13 * 9 * 8 * slices)
        for part, expected in zip(image_and_gradient(batch, grid, camera, weights, "slabs"), whole, strict=True):
            torch.testing.assert_close(part, expected, rtol=1e-12, atol=1e-12)


class Watched(TorchDispatchMode):
    """Counts the operations that compute or copy, and what tensors they made take at the same time, in bytes."""

    def __init__(self) -> None:
        super().__init__()
        self.operations, self.peak_bytes = 0, 0
        self._alive: dict[int, tuple[StorageWeakRef, int]] = {}

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        result = function(*args, **(kwargs or {}))
        mine = [leaf.untyped_storage() for leaf in tree_leaves(result) if isinstance(leaf, Tensor)]
        given = {leaf.untyped_storage()._cdata for leaf in tree_leaves(args) if isinstance(leaf, Tensor)}
        name = function.name()
        view = any(storage._cdata in given for storage in mine) and not name.split(".")[0].endswith("_")
        self.operations += not (view or "empty" in name or "detach" in name)
        for storage in mine:
            if storage._cdata not in given:
                self._alive[storage._cdata] = StorageWeakRef(storage), storage.nbytes()
        self._alive = {key: (ref, size) for key, (ref, size) in self._alive.items() if not ref.expired()}
        self.peak_bytes = max(self.peak_bytes, sum(size for _, size in self._alive.values()))
        return result


def operations(volumes: Tensor, grid: Grid, camera: Camera) -> int:
    project(volumes, grid, camera)  # makes the tables
    with Watched() as watched:
        project(volumes, grid, camera)
    return watched.operations


@pytest.mark.parametrize("a_limit", ["GPU"], indirect=True)
@pytest.mark.parametrize("name", ["AP", "lateral", "oblique"])
def test_one_set_of_operations_serves_a_batch_and_all_slices(name: str, a_limit: WorkLimits) -> None:
    """Launches are what many small slices cost on a GPU: nine at most, whatever the number of slices and volumes."""
    camera, direction = CAMERAS[name]
    grid = Grid((64, 60, 48), (1.5, 2.0, 2.5), (-40.0, -60.0, -60.0), direction)
    one = operations(noise(1, *grid.shape), grid, camera)
    assert operations(noise(7, *grid.shape), grid, camera) == one
    assert one <= 9


@pytest.mark.parametrize("name", ["AP", "lateral", "oblique"])
@pytest.mark.parametrize("volumes", [1, 8])
@pytest.mark.parametrize(("edge", "pixels"), [(128, 256), (256, 256), (256, 1024)])
def test_a_gpu_needs_at_most_150_mb_beside_volumes_and_images(name: str, volumes: int, edge: int, pixels: int) -> None:
    """All tensors that live at once, tables included, on torch's device without memory: a batch of 256^3 has 512 MB."""
    angles = {"AP": (0.0, 0.0), "lateral": (90.0, 0.0), "oblique": (30.0, 10.0)}
    grid = Grid.cube((0.0, 0.0, 0.0), 256.0, edge)
    view = View(ConeBeam(1000.0, 1536.0), Detector(pixels, pixels, (400 / pixels, 400 / pixels)), *angles[name])
    batch = torch.empty(volumes, *grid.shape, device="meta")
    kept_plans.forget()
    with Watched() as watched:
        images = project(batch, grid, view)
    plan = kept_plans.plan_for(grid, view, "meta", torch.float32, "torch")
    kept_plans.forget()
    assert plan is not None
    assert images.device.type == "meta"
    results_mb = 4 * (images.numel() + volumes * plan.samples_a * plan.samples_b) / 2**20
    assert watched.peak_bytes / 2**20 < 150.0 + (results_mb if volumes > 1 else 0.0)
    assert watched.peak_bytes / 2**20 > 16.0  # the measure sees something


@pytest.mark.parametrize("name", ["AP", "lateral", "oblique"])
def test_a_batch_and_its_adjoint_take_no_more_work_space_than_they_may(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """64 volumes at once would take 5 to 20 times as much."""
    camera, direction = CAMERAS[name]
    grid = Grid((38, 26, 18), (0.75, 1.0, 1.25), (-15.0, -9.0, -12.0), direction)
    limit = 2**21
    monkeypatch.setattr(torch_slabs, "limits_of", lambda device: WorkLimits(100, 100, limit, 8))
    monkeypatch.setattr(torch_slabs, "TRANSPOSED_BYTES", limit)
    kept_plans.forget()
    plan = kept_plans.plan_for(grid, camera, "cpu", torch.float64, "torch")
    assert plan is not None
    assert 1 < plan.most_volumes < 20
    batch, weights = noise(64, *grid.shape), noise(64, *camera.shape)
    with Watched() as watched:
        image_and_gradient(batch, grid, camera, weights, "slabs")
    kept_plans.forget()
    # gradient of the volumes; images, sums on the (virtual) detector, and the gradients of both
    results = 8 * (batch.numel() + 3 * weights.numel() + 2 * 64 * plan.samples_a * plan.samples_b)
    assert results < watched.peak_bytes + limit
    assert watched.peak_bytes < results + 3 * limit


def test_an_empty_batch_gives_no_images() -> None:
    for name in ("AP", "oblique"):
        camera, direction = CAMERAS[name]
        assert project(torch.zeros(0, 9, 13, 19), a_grid(direction), camera).shape == (0, 22, 26)


@pytest.mark.parametrize("name", ["AP", "lateral", "oblique"])
def test_tables_made_in_inference_mode_serve_training(name: str) -> None:
    """Tensors made in that mode can be neither written to nor kept for a backward pass outside."""
    camera, direction = CAMERAS[name]
    grid = a_grid(direction)
    batch, weights = noise(2, *grid.shape), noise(2, *camera.shape)
    kept_plans.forget()
    torch_slabs._kept.buffer = None
    with torch.inference_mode():
        expected = project(batch, grid, camera).clone()
    images, gradients = image_and_gradient(batch, grid, camera, weights, "slabs")
    torch.testing.assert_close(images, expected)
    assert float(gradients.max()) > 0.0


def test_physics_stays_on_the_volumes_device() -> None:
    """Torch's device without memory refuses to work with tensors of another."""
    hu = torch.zeros(9, 13, 19, device="meta")
    integral = torch.zeros(22, 26, device="meta")
    signal = add_scatter(transmission(integral), 0.5, 2.0)
    water, bone = water_and_bone(hu)
    behind = polyenergetic_transmission(integral, integral, kramers_spectrum(80.0))
    for result in (hu_to_attenuation(hu), water, bone, log_signal(add_noise(signal, 1e4, 2.0), 1e4), behind):
        assert result.device.type == "meta"


needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")


@needs_cuda
@pytest.mark.gpu
@pytest.mark.parametrize("method", ["slabs", "rays"])
@pytest.mark.parametrize("name", CAMERAS)
def test_a_gpu_gives_the_images_and_gradients_of_the_cpu(name: str, method: str) -> None:
    camera, direction = CAMERAS[name]
    grid = a_grid(direction)
    batch, weights = noise(3, *grid.shape), noise(3, *camera.shape)
    expected = image_and_gradient(batch, grid, camera, weights, method)
    found = image_and_gradient(batch.cuda(), grid, camera, weights.cuda(), method)
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.device.type == "cuda"
        torch.testing.assert_close(ours.cpu(), theirs, rtol=1e-9, atol=1e-9)


@needs_cuda
@pytest.mark.gpu
def test_modules_poses_rays_and_physics_work_on_a_gpu() -> None:
    camera, direction = CAMERAS["oblique"]
    grid = a_grid(direction)
    hu = noise(2, *grid.shape, dtype=torch.float32) * 1000
    attenuation = hu_to_attenuation(hu.cuda())
    images = Projector(grid, (camera, CAMERAS["AP"][0]))(attenuation)
    expected = Projector(grid, (camera, CAMERAS["AP"][0]))(hu_to_attenuation(hu))
    torch.testing.assert_close(images.cpu(), expected, rtol=1e-4, atol=1e-5)
    pose = torch.zeros(6, requires_grad=True)  # on the CPU, as an optimiser may hold it
    posed = project_posed(attenuation, grid, camera, pose)
    posed.sum().backward()
    assert pose.grad is not None
    traced = trace_rays(attenuation, grid, *rays_of(camera))
    torch.testing.assert_close(traced, project(attenuation, grid, camera, method="rays"))
    signal = add_scatter(transmission(images[0, 0]), 0.5, 2.0)
    noisy = log_signal(add_noise(signal, 1e4, 2.0, torch.Generator("cuda").manual_seed(1)), 1e4)
    assert noisy.device.type == water_and_bone(hu.cuda())[1].device.type == "cuda"
