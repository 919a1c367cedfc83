"""The settings of one stage of training, as a configuration's ``[stages.training]`` holds them."""

from __future__ import annotations

from dataclasses import dataclass, field

from TomoRayLib.base.errors import InputError
from TomoRayLib.networks.geolift import COUNT_LEVEL, HEAD_LEVELS, GeoLiftConfig
from TomoRayLib.networks.x2ct import X2CTConfig
from TomoRayLib.training.engine.adversary import SMALLEST_CROP, AdversaryConfig
from TomoRayLib.training.engine.losses import LossWeights
from TomoRayLib.training.engine.models import ARCHITECTURES, NetworkConfig
from TomoRayLib.training.engine.processes import AUTO, PRECISIONS


@dataclass(frozen=True)
class TrainingConfig:
    """One stage of training. ``finest_level`` 2 trains 48^3, 1 trains 96^3, 0 trains 192^3.

    ``freeze_coarse`` (with level 1 or 0) trains only the part that the finest level adds, on top of ``start_from``;
    ``coarsest_level`` the parts of the levels from the finest to it, so that two networks may share all the rest. The
    budget is ``minutes``, or ``steps`` if they are given.

    ``architecture`` "geolift" trains ``network``; "x2ct" trains ``x2ct``, which has no levels and no mask: leave
    ``finest_level`` at 0 and set ``loss.mask`` to 0.

    ``workers`` processes make samples on the CPU; 0 makes them in the training process, on its GPU if it has one.
    If left out, ``processes.workers_for`` chooses.

    Every ``keep_every_steps`` steps the averaged weights are kept, for a mean of several to be published; 0 keeps none.
    """

    minutes: float = 60.0
    steps: int | None = None
    finest_level: int = 1
    freeze_coarse: bool = False
    coarsest_level: int | None = None
    start_from: str | None = None
    batch_size: int = 2
    peak_lr: float = 2e-3
    weight_decay: float = 1e-2
    ema_decay: float = 0.995
    gradient_clip: float = 1.0
    precision: str = AUTO
    workers: int | None = None
    validate_every_steps: int = 200
    keep_every_steps: int = 0
    seed: int = 1
    betas: tuple[float, float] = (0.9, 0.98)
    architecture: str = "geolift"
    network: GeoLiftConfig = field(default_factory=GeoLiftConfig)
    x2ct: X2CTConfig = field(default_factory=X2CTConfig)
    loss: LossWeights = field(default_factory=LossWeights)
    adversary: AdversaryConfig = field(default_factory=AdversaryConfig)

    def __post_init__(self) -> None:
        if self.finest_level not in range(HEAD_LEVELS):
            raise InputError(f"finest_level must be 0 (192^3), 1 (96^3) or 2 (48^3); got {self.finest_level}.")
        if self.freeze_coarse and self.finest_level == HEAD_LEVELS - 1:
            raise InputError(f"freeze_coarse needs finest_level 0 or 1; got {self.finest_level}, the coarsest.")
        if self.coarsest_level is not None and (
            self.freeze_coarse or not self.finest_level <= self.coarsest_level < HEAD_LEVELS
        ):
            raise InputError(
                f"coarsest_level must be a level from finest_level to {HEAD_LEVELS - 1}, without freeze_coarse; got "
                f"{self.coarsest_level}, finest_level {self.finest_level}, freeze_coarse {self.freeze_coarse}."
            )
        if self.batch_size < 1 or self.minutes <= 0 or (self.steps is not None and self.steps < 1):
            raise InputError(
                f"batch_size and steps must be at least 1 and minutes above 0; got batch_size {self.batch_size}, steps "
                f"{self.steps}, minutes {self.minutes}."
            )
        if self.precision not in PRECISIONS:
            raise InputError(f"precision must be one of {PRECISIONS}; got {self.precision!r}.")
        workers = self.workers or 0
        if self.keep_every_steps < 0:
            raise InputError(f"keep_every_steps must be 0 (none) or above; got {self.keep_every_steps}.")
        if min(self.validate_every_steps, self.gradient_clip) <= 0 or workers < 0 or not 0 <= self.ema_decay < 1:
            raise InputError(
                f"validate_every_steps and gradient_clip must be above 0, workers 0 or above, and ema_decay in [0, 1); "
                f"got {self.validate_every_steps}, {self.gradient_clip}, {self.workers} and {self.ema_decay}."
            )
        if self.loss.count > 0 and not (self.network.counts and self.architecture == "geolift"):
            raise InputError(f"loss.count needs network.counts = true; got loss.count {self.loss.count} without it.")
        if self.loss.image > 0 and self.last_trained_level is not None:
            raise InputError(
                f"loss.image trains the encoder, which freeze_coarse and coarsest_level keep as it is; got loss.image "
                f"{self.loss.image} with {'freeze_coarse' if self.freeze_coarse else 'coarsest_level'}. Set it to 0."
            )
        if self.loss.count > 0 and COUNT_LEVEL not in self.levels:
            raise InputError(
                f"loss.count trains the level of 48^3 ({COUNT_LEVEL}), got levels {self.levels} to train; set "
                f"loss.count to 0, or coarsest_level to {COUNT_LEVEL}."
            )
        if self.loss.image > 0 and not (self.network.image_decoder and self.architecture == "geolift"):
            raise InputError(
                f"loss.image needs network.image_decoder = true; got loss.image {self.loss.image} without it."
            )
        if self.adversary.weight > 0 and self.volume_size < SMALLEST_CROP:
            raise InputError(
                f"adversary.weight needs volumes of at least {SMALLEST_CROP} voxels an edge, got {self.volume_size}: "
                f"below, the discriminator's last features are smaller than its kernels. Choose a larger output_size "
                f"or a finer finest_level."
            )
        if self.architecture not in ARCHITECTURES:
            raise InputError(f"architecture must be one of {ARCHITECTURES}; got {self.architecture!r}.")
        if self.architecture == "x2ct" and (self.finest_level or self.loss.mask or self.loss.rays):
            raise InputError(
                f"X2CT-GAN has one level and no mask: finest_level, loss.mask and loss.rays must be 0; got "
                f"{self.finest_level}, {self.loss.mask} and {self.loss.rays}. docs/configurations/x2ct-gan.toml sets "
                f"them all."
            )

    @property
    def trained_network(self) -> NetworkConfig:
        """The configuration of the architecture that is trained."""
        return self.network if self.architecture == "geolift" else self.x2ct

    @property
    def volume_size(self) -> int:
        """Edge in voxels of the finest volume predicted in training."""
        return self.x2ct.size if self.architecture == "x2ct" else self.network.output_size >> self.finest_level

    @property
    def field_size(self) -> int:
        """Edge in voxels of the vertebra field that samples hold; 0 if no loss tells vertebrae apart."""
        return self.network.output_size >> COUNT_LEVEL if self.loss.count > 0 or self.loss.gaps > 0 else 0

    @property
    def levels(self) -> tuple[int, ...]:
        """The levels that predict in training, finest first."""
        if self.architecture == "x2ct":
            return (self.finest_level,)
        coarsest = HEAD_LEVELS - 1 if self.last_trained_level is None else self.last_trained_level
        return tuple(range(self.finest_level, coarsest + 1))

    @property
    def last_trained_level(self) -> int | None:
        """The coarsest level that is trained, the rest being frozen; None if all of the network is trained."""
        return self.finest_level if self.freeze_coarse else self.coarsest_level

    def spent(self, steps: int, seconds: float) -> float:
        """Share of the budget that is spent; the run ends at 1."""
        return steps / self.steps if self.steps is not None else seconds / (self.minutes * 60)
