"""Files of weights: their round trip, weights that add to others, and everything that is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from TomoRayLib.base.errors import InputError
from TomoRayLib.base.hashes import sha256_of_bytes
from TomoRayLib.networks.geolift import GeoLiftConfig, GeoLiftUNet
from TomoRayLib.networks.weight_files import Base, read_weights, save_weights

CONFIG = GeoLiftConfig((4, 4, 8, 16, 16), (4, 4, 8, 16, 16), (1, 1, 1, 1, 1), 32)
FINE = ("decoder.0.", "heads.0.")


def a_state(seed: int = 0) -> dict[str, Tensor]:
    torch.manual_seed(seed)
    return GeoLiftUNet(CONFIG).state_dict()


def with_a_fine_level_of_its_own(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Trained from ``state`` with everything but the finest level frozen."""
    other = a_state(1)
    return {name: other[name] if name.startswith(FINE) else value for name, value in state.items()}


def a_base(folder: Path, state: dict[str, Tensor]) -> Base:
    return Base("base", "base.safetensors", save_weights(state, folder / "base.safetensors", {}))


def test_weights_come_back_within_their_errors_with_their_metadata(tmp_path: Path) -> None:
    state, path = a_state(), tmp_path / "weights.safetensors"
    sha256 = save_weights(state, path, {"licence": "CC-BY-4.0"})
    back, metadata = read_weights(path, sha256)
    assert metadata["licence"] == "CC-BY-4.0"
    assert back.keys() == state.keys()
    for name, value in state.items():
        error = (back[name] - value).norm() / value.norm().clamp_min(1e-12)
        assert error < 0.012, name
    values = sum(value.numel() for value in state.values())
    large = sum(value.numel() for value in state.values() if value.numel() >= 4096)
    assert path.stat().st_size < 2 * (values - large) + 1.05 * large + 12_000  # names and metadata
    GeoLiftUNet(CONFIG).load_state_dict(back)


def test_the_same_weights_make_the_same_file(tmp_path: Path) -> None:
    metadata = {name: name.upper() for name in ("licence", "model", "network", "notice", "sources")}
    hashes = {save_weights(a_state(), tmp_path / f"{number}.safetensors", metadata) for number in range(8)}
    assert len(hashes) == 1
    with safe_open(tmp_path / "0.safetensors", "pt") as file:
        assert file.metadata().items() >= metadata.items()
        assert len(file.keys()) > len(a_state())  # and their scales


def test_files_in_half_precision_as_before_are_read(tmp_path: Path) -> None:
    state = {name: value.half() for name, value in a_state().items()}
    save_file(state, tmp_path / "half.safetensors", {"model": "earlier"})
    back, metadata = read_weights(tmp_path / "half.safetensors")
    assert metadata == {"model": "earlier"}
    assert all(torch.equal(back[name], value.float()) for name, value in state.items())
    save_file(state, tmp_path / "bare.safetensors")
    assert read_weights(tmp_path / "bare.safetensors")[1] == {}


def test_a_later_way_of_storing_is_named(tmp_path: Path) -> None:
    save_file(a_state(), tmp_path / "later.safetensors", {"storage": "int4"})
    with pytest.raises(InputError, match=r"got 'int4' in later.safetensors; update TomoRay"):
        read_weights(tmp_path / "later.safetensors")


def test_a_damaged_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    sha256 = save_weights(a_state(), path, {})
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(InputError, match="SHA-256"):
        read_weights(path, sha256)
    path.unlink()
    with pytest.raises(InputError, match="found none"):
        read_weights(path, sha256)


@pytest.mark.parametrize("content", [b"", b"\xff" * 16, b"no weights at all, but text"])
def test_a_file_that_holds_no_weights_is_a_sentence(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "weights.safetensors").write_bytes(content)
    with pytest.raises(InputError, match=r"got weights\.safetensors, which is damaged or none"):
        read_weights(tmp_path / "weights.safetensors")


def test_a_folder_in_place_of_weights_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_weights(tmp_path)


def test_steps_that_do_not_belong_to_their_tensor_are_refused(tmp_path: Path) -> None:
    """Multiplied, a row and a column would fill memory."""
    save_file(
        {"w": torch.ones(1, 9, dtype=torch.int8), "w.int8_scale": torch.ones(9, 1)}, tmp_path / "weights.safetensors"
    )
    with pytest.raises(InputError, match="damaged or none"):
        read_weights(tmp_path / "weights.safetensors")


def test_weights_that_add_to_others_hold_the_rest_alone(tmp_path: Path) -> None:
    state = a_state()
    base = a_base(tmp_path, state)
    full, path = with_a_fine_level_of_its_own(state), tmp_path / "more.safetensors"
    sha256 = save_weights(full, path, {"model": "more"}, base)
    held = {name for name in load_file(path) if not name.endswith("_scale")}
    assert held == {name for name in full if not torch.equal(full[name], state[name])}
    assert held
    assert all(name.startswith(FINE) for name in held)
    save_weights(full, tmp_path / "whole.safetensors", {})
    overlaid, whole = read_weights(path, sha256)[0], read_weights(tmp_path / "whole.safetensors")[0]
    assert overlaid.keys() == whole.keys()
    assert all(torch.equal(overlaid[name], whole[name]) for name in whole)


def test_a_training_may_start_from_what_was_stored_of_the_base(tmp_path: Path) -> None:
    base = a_base(tmp_path, a_state())
    start = read_weights(tmp_path / base.file)[0]
    mean = {name: torch.stack([value] * 3).mean(0) for name, value in start.items()}  # of three that are the same
    path = tmp_path / "more.safetensors"
    save_weights(with_a_fine_level_of_its_own(mean), path, {}, base)
    assert all(name.startswith(FINE) for name in load_file(path))


def test_a_base_in_half_precision_is_recognised(tmp_path: Path) -> None:
    half = {name: value.half().float() for name, value in a_state().items()}
    save_file({name: value.half() for name, value in half.items()}, tmp_path / "base.safetensors")
    base = Base("base", "base.safetensors", sha256_of_bytes((tmp_path / "base.safetensors").read_bytes()))
    save_weights(with_a_fine_level_of_its_own(half), tmp_path / "more.safetensors", {}, base)
    assert all(name.startswith(FINE) for name in load_file(tmp_path / "more.safetensors"))


def test_a_snapshot_in_half_precision_shares_what_was_frozen(tmp_path: Path) -> None:
    base = a_base(tmp_path, a_state())
    start = read_weights(tmp_path / base.file)[0]
    snapshot = {name: value.half().float() for name, value in with_a_fine_level_of_its_own(start).items()}
    mean = {name: torch.stack([value] * 3).mean(0) for name, value in snapshot.items()}
    save_weights(mean, tmp_path / "more.safetensors", {}, base)
    held = load_file(tmp_path / "more.safetensors")
    assert held
    assert all(name.startswith(FINE) for name in held)


def test_a_tensor_that_moved_by_a_step_is_held(tmp_path: Path) -> None:
    state = a_state()
    base = a_base(tmp_path, state)
    moved = {name: value.clone() for name, value in state.items()}
    weight = moved["decoder.4.body.0.weight"]
    weight[2, 3, 0, 0, 0] += weight[2].abs().max() / 100
    save_weights(moved, tmp_path / "more.safetensors", {}, base)
    held = {name.removesuffix(".int8_scale") for name in load_file(tmp_path / "more.safetensors")}
    assert held == {"decoder.4.body.0.weight"}


def test_another_base_a_missing_one_and_one_that_shares_nothing_are_refused(tmp_path: Path) -> None:
    state = a_state()
    base = a_base(tmp_path, state)
    path = tmp_path / "more.safetensors"
    sha256 = save_weights(with_a_fine_level_of_its_own(state), path, {}, base)
    a_base(tmp_path, {name: value + 1.0 for name, value in state.items()})
    with pytest.raises(InputError, match=r"more.safetensors holds only what differs from base.safetensors. .*SHA-256"):
        read_weights(path, sha256)
    (tmp_path / base.file).unlink()
    with pytest.raises(InputError, match=r"holds only what differs from base.safetensors. .*found none"):
        read_weights(path, sha256)
    base = a_base(tmp_path, state)
    with pytest.raises(InputError, match="publish them without a base"):
        save_weights({name: value + 1.0 for name, value in state.items()}, path, {}, base)
    with pytest.raises(InputError, match=r"some without heads\.0\.bias"):
        save_weights({name: value for name, value in state.items() if name != "heads.0.bias"}, path, {}, base)


def test_more_tensors_than_the_base_has_are_held(tmp_path: Path) -> None:
    state = a_state()
    base = a_base(tmp_path, state)
    save_weights({**state, "counts.weight": torch.ones(3, 2)}, tmp_path / "more.safetensors", {}, base)
    assert set(load_file(tmp_path / "more.safetensors")) == {"counts.weight"}
    back, metadata = read_weights(tmp_path / "more.safetensors")
    assert back.keys() == {*state, "counts.weight"}
    assert json.loads(metadata["based_on"])["model"] == "base"
