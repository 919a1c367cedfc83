"""Settings of an acquisition: geometry, arrangement, poses and exposure, as plain values without torch or SimpleITK."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from TomoRayLib.base.errors import InputError
from TomoRayLib.base.settings import setting, setting_of_numbers
from TomoRayLib.geometry.grid import Vector3
from TomoRayLib.geometry.presets import PRESETS

BEAM_NAMES = ("cone", "parallel", "slot")
TURNS_DEG = (0, 90, 180, 270)
_NAMES = {"ap": "AP", "lateral": "lateral"}
_SEVERAL_NUMBERS = (
    "pixel_spacing_mm",
    "ap_pixel_spacing_mm",
    "lateral_pixel_spacing_mm",
    "size",
    "isocenter_mm",
    "ap_offset_mm",
    "lateral_offset_mm",
)


@dataclass(frozen=True)
class GeometryOptions:
    """Geometry as the user states it. A value of None is taken from the image file, else from the preset.

    Args:
        preset: One of ``geometry.PRESETS``; None: C-arm for rendering, for a radiograph the one that fits it.
        file: JSON file with the views ``ap`` and ``lateral`` as ``geometry.view_to_dict`` writes them.
        sad_mm: Distance from the source to the isocentre.
        sid_mm: Distance from the source to the detector.
        pixel_spacing_mm: (row, column) spacing at the detector.
        ap_pixel_spacing_mm: That of the AP image, in place of ``pixel_spacing_mm``.
        lateral_pixel_spacing_mm: That of the lateral image, likewise.
        size: (rows, columns) of the detector; used for rendering only.
        isocenter_mm: (x, y, z) in LPS.
        ap_offset_mm: (down, right) from the isocentre to the middle of the AP image, in the plane of the isocentre.
        lateral_offset_mm: The same of the lateral image.
        ap_angle_deg: Gantry angle of the AP view; 0 is straight from in front.
        lateral_angle_deg: Gantry angle of the lateral view; 90 is straight from the patient's left.
        ap_matrix_file: Text file with the AP radiograph's 3 x 4 projection matrix, from LPS mm to (column, row, 1) * w
            of the pixels as they are in its file.
        lateral_matrix_file: The same of the lateral radiograph.

    Raises:
        InputError: For an unknown preset, and for a projection matrix beside what it holds already.
    """

    preset: str | None = setting(
        None, help=f"Preset ({', '.join(PRESETS)}) or a JSON file with both views.", name="--geometry"
    )
    file: str | None = None
    sad_mm: float | None = setting(None, help="Source to isocentre in mm.", name="--sad")
    sid_mm: float | None = setting(None, help="Source to detector in mm.", name="--sid")
    pixel_spacing_mm: tuple[float, float] | None = setting_of_numbers(
        "--pixel-spacing", "ROW COLUMN", "Pixel spacing at the detector in mm"
    )
    ap_pixel_spacing_mm: tuple[float, float] | None = setting_of_numbers(
        "--ap-pixel-spacing", "ROW COLUMN", "Pixel spacing of the AP image alone, at the detector in mm"
    )
    lateral_pixel_spacing_mm: tuple[float, float] | None = setting_of_numbers(
        "--lateral-pixel-spacing", "ROW COLUMN", "Pixel spacing of the lateral image alone, at the detector in mm"
    )
    size: tuple[int, int] | None = setting_of_numbers(
        "--size", "ROWS COLUMNS", "Detector size in pixels, for rendering"
    )
    isocenter_mm: Vector3 | None = setting_of_numbers("--isocenter", "X Y Z", "Isocentre in the patient's LPS mm")
    ap_offset_mm: tuple[float, float] | None = setting_of_numbers(
        "--ap-offset", "DOWN RIGHT", "Where the middle of the AP image lies from the isocentre, in mm there"
    )
    lateral_offset_mm: tuple[float, float] | None = setting_of_numbers(
        "--lateral-offset", "DOWN RIGHT", "The same of the lateral image; -30 0 if its middle lies 30 mm higher"
    )
    ap_angle_deg: float | None = setting(None, help="Gantry angle of the AP view; straight: 0.", name="--ap-angle")
    lateral_angle_deg: float | None = setting(
        None, help="Gantry angle of the lateral view; straight: 90.", name="--lateral-angle"
    )
    ap_matrix_file: str | None = setting(
        None,
        help="Text file with the 3 x 4 matrix of the AP radiograph, from LPS mm to (column, row, 1) * w.",
        name="--ap-matrix",
        is_path=True,
    )
    lateral_matrix_file: str | None = setting(
        None, help="The same of the lateral radiograph.", name="--lateral-matrix", is_path=True
    )

    def __post_init__(self) -> None:
        if self.preset is not None and self.preset not in PRESETS:
            raise InputError(
                f"Expected a geometry of {sorted(PRESETS)} or a JSON file, got {self.preset!r}.", "geometry"
            )
        for name in _SEVERAL_NUMBERS:
            value = getattr(self, name)
            object.__setattr__(self, name, None if value is None else tuple(value))
        self._check_matrices()

    def for_view(self, name: str) -> GeometryOptions:
        """Return the options of one view, ``"AP"`` or ``"lateral"``: its own pixel spacing is that of both."""
        own = self.ap_pixel_spacing_mm if name == "AP" else self.lateral_pixel_spacing_mm
        return self if own is None else replace(self, pixel_spacing_mm=own)

    def matrix_file(self, name: str) -> str | None:
        """Return the file of the projection matrix of a view, ``"AP"`` or ``"lateral"``."""
        return self.ap_matrix_file if name == "AP" else self.lateral_matrix_file

    @property
    def has_matrices(self) -> bool:
        """True if a radiograph's projection matrix is given."""
        return self.ap_matrix_file is not None or self.lateral_matrix_file is not None

    def _check_matrices(self) -> None:
        """Raise InputError for what a projection matrix holds already."""
        for view in ("ap", "lateral"):
            field = f"{view}_matrix_file"
            if getattr(self, field) is None:
                continue
            own = {f"{view}_offset_mm": "offset", f"{view}_angle_deg": "angle"}
            both = {"file": "geometry file", "size": "detector size"}
            if self.ap_matrix_file is not None and self.lateral_matrix_file is not None:
                both |= {"preset": "preset", "sad_mm": "SAD", "sid_mm": "SID"}
            found = [word for name, word in (own | both).items() if getattr(self, name) is not None]
            if found:
                raise InputError(
                    f"Expected the projection matrix of the {_NAMES[view]} radiograph alone, got it with "
                    f"{' and '.join(found)}; the matrix holds where source and pixels are. Leave one out.",
                    field,
                )
        if (self.ap_matrix_file is None) != (self.lateral_matrix_file is None) and self.isocenter_mm is None:
            missing = "ap" if self.ap_matrix_file is None else "lateral"
            raise InputError(
                f"Expected projection matrices of both radiographs, or an isocentre in the frame of the one matrix, "
                f"got none for the {_NAMES[missing]} radiograph; give its matrix, or the isocentre that it was aimed "
                "at.",
                f"{missing}_matrix_file",
            )


# What is a setting of rendering too: matrices of radiographs are not.
FOR_RENDERING = tuple(item.name for item in fields(GeometryOptions) if not item.name.endswith("_matrix_file"))


@dataclass(frozen=True)
class Arrangement:
    """What is done to two radiographs before the network reads them; the names are those of ``SynthesisJob``.

    Args:
        swapped: Take the first image as lateral and the second as AP.
        flip_ap: Mirror the AP radiograph left to right, after turning it.
        flip_lateral: Mirror the lateral radiograph left to right, after turning it.
        invert_ap: Exchange dark and bright in the AP radiograph.
        invert_lateral: Exchange dark and bright in the lateral radiograph.
        turn_ap: Degrees clockwise, 0, 90, 180 or 270.
        turn_lateral: Degrees clockwise, 0, 90, 180 or 270.
    """

    swapped: bool = False
    flip_ap: bool = False
    flip_lateral: bool = False
    invert_ap: bool = False
    invert_lateral: bool = False
    turn_ap: int = 0
    turn_lateral: int = 0

    def __post_init__(self) -> None:
        for name in ("turn_ap", "turn_lateral"):
            if getattr(self, name) not in TURNS_DEG:
                raise InputError(
                    f"Expected an image to be turned by 0, 90, 180 or 270 degrees, got {getattr(self, name)}.", name
                )

    def lies_sideways(self, name: str) -> bool:
        """Return whether the image that was read as ``"AP"`` or ``"lateral"`` is turned by 90 or 270 degrees."""
        return (self.turn_ap if (name == "AP") != self.swapped else self.turn_lateral) % 180 != 0

    def settings(self) -> dict[str, bool | int]:
        """Return a job's settings that have this arrangement, but for the order of the files."""
        both = self.invert_ap and self.invert_lateral
        return {
            "flip_ap": self.flip_ap,
            "flip_lateral": self.flip_lateral,
            "invert": both,
            "invert_ap": self.invert_ap and not both,
            "invert_lateral": self.invert_lateral and not both,
            "turn_ap": self.turn_ap,
            "turn_lateral": self.turn_lateral,
        }


def arrangement_of(values: Mapping[str, Any]) -> Arrangement:
    """Return the arrangement in a job's settings, by name; ``invert`` is for both images."""
    rest = {name: value for name, value in values.items() if name != "invert"}
    one, both = Arrangement(**rest), bool(values.get("invert", False))
    return replace(one, invert_ap=one.invert_ap or both, invert_lateral=one.invert_lateral or both)


@dataclass(frozen=True)
class PoseOptions:
    """The views to render. Without angles and matrix: AP and lateral, each changed by the other values.

    Args:
        angles_deg: Gantry angles, one view each: 0 AP, 90 lateral, 180 PA.
        tilt_deg: Degrees that the source is moved towards the head.
        roll_deg: Degrees that the detector is turned clockwise in its plane.
        offset_mm: (down, right) of the detector's middle from the central ray.
        beam: ``"cone"``, ``"parallel"`` or ``"slot"``.
        matrix_file: Text file of one or more 3 x 4 matrices from LPS mm to (column, row, 1) * w.

    Raises:
        InputError: For an unknown beam, and for a matrix together with any other value.
    """

    angles_deg: tuple[float, ...] = setting(
        (),
        help="Gantry angle instead of the two views: 0 AP, 90 lateral, 180 PA. Once for each view.",
        name="--angle",
    )
    tilt_deg: float | None = setting(
        None, help="Degrees that the source is moved towards the head (below 0: feet).", name="--tilt"
    )
    roll_deg: float | None = setting(
        None, help="Degrees that the detector is turned clockwise in its plane.", name="--roll"
    )
    offset_mm: tuple[float, float] | None = setting(
        None,
        help="Offset of the detector's middle from the central ray in mm: DOWN RIGHT.",
        name="--offset",
        metavar="DOWN RIGHT",
    )
    beam: str | None = setting(None, help="cone, parallel, or slot (EOS: parallel along the body).")
    matrix_file: str | None = setting(
        None,
        help="Text file of 3 x 4 matrices from LPS mm to (column, row, 1) * w, instead of a pose; needs --size.",
        name="--matrix",
        is_path=True,
    )

    def __post_init__(self) -> None:
        if self.beam is not None and self.beam not in BEAM_NAMES:
            raise InputError(
                f"Expected the beam to be one of {list(BEAM_NAMES)}, got {self.beam!r}; choose one of these.", "beam"
            )
        changes = (self.angles_deg, self.tilt_deg, self.roll_deg, self.offset_mm, self.beam)
        if self.matrix_file is not None and any(change not in (None, ()) for change in changes):
            raise InputError(
                "Expected either a projection matrix or the pose in numbers, got both; a matrix holds beam, angles and "
                "offset already. Leave one out.",
                "matrix_file",
            )


@dataclass(frozen=True)
class Exposure:
    """The content of a rendered image. The default is the line integral at 0.022 / mm for water, without noise.

    Args:
        energy_kev: Photon energy, 30 to 150; water then has its attenuation at this energy (NIST), else plastimatch's.
        kvp: Tube voltage, 40 to 150 kV: a spectrum through water and bone, energy-integrating detector.
        aluminium_mm: Filtration of that spectrum.
        scatter_to_primary: Scatter-to-primary ratio.
        scatter_mm: Standard deviation of the Gaussian scatter at the detector.
        photons: Photons a pixel without a patient; adds Poisson noise.
        electronic_sd_photons: Standard deviation of the electronic noise.
        as_transmission: Give the share that arrives, bone dark, instead of its negative logarithm.
        seed: Seed of the noise.

    Raises:
        InputError: For an energy together with a tube voltage.
    """

    energy_kev: float | None = setting(
        None, help="Photon energy, 30 to 150 keV; without it water has plastimatch's 0.022 / mm."
    )
    kvp: float | None = setting(None, help="Tube voltage, 40 to 150 kV, instead: a spectrum through water and bone.")
    aluminium_mm: float = setting(2.5, help="Aluminium in the beam in mm, with --kvp.", name="--filtration")
    scatter_to_primary: float = setting(0.0, help="Scatter-to-primary ratio.", name="--scatter")
    scatter_mm: float = 40.0
    photons: float | None = setting(None, help="Photons a pixel without the patient: adds Poisson noise.")
    electronic_sd_photons: float = setting(
        0.0, help="Standard deviation in photons, with --photons.", name="--electronic-noise"
    )
    as_transmission: bool = setting(
        False, help="Write the share that arrives, bone dark, instead of -ln of it.", name="--transmission"
    )
    seed: int = setting(0, help="Seed of the noise.")

    def __post_init__(self) -> None:
        if self.energy_kev is not None and self.kvp is not None:
            raise InputError("Expected a photon energy or a tube voltage, got both; leave one out.", "kvp")

    @property
    def is_line_integral(self) -> bool:
        """True if the image is the line integral itself, without detector."""
        return not (self.kvp or self.scatter_to_primary or self.photons or self.as_transmission)
