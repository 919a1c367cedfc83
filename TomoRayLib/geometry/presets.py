"""Pairs of views of usual machines: AP and lateral about one isocentre."""

from __future__ import annotations

from dataclasses import replace

from TomoRayLib.geometry.beams import Beam, ConeBeam, ParallelBeam, SlotScan
from TomoRayLib.geometry.detector import Detector
from TomoRayLib.geometry.grid import Vector3
from TomoRayLib.geometry.views import Biplanar, View


def orthogonal_pair(beam: Beam, detector: Detector, isocenter_mm: Vector3 = (0.0, 0.0, 0.0)) -> Biplanar:
    """AP (source anterior) and lateral (source at the patient's left) with one beam and one detector.

    Args:
        beam: The beam of both views.
        detector: The detector of both views.
        isocenter_mm: LPS position of the isocentre.

    Returns:
        The two views, at gantry angles of 0 and 90 degrees.

    Raises:
        InputError: If the isocentre is not three finite numbers.
    """
    ap = View(beam, detector, gantry_angle_deg=0.0, isocenter_mm=isocenter_mm)
    return Biplanar(ap, replace(ap, gantry_angle_deg=90.0))


def c_arm(isocenter_mm: Vector3 = (0.0, 0.0, 0.0)) -> Biplanar:
    """A C-arm: SAD 1000, SID 1536 mm; 320 x 320 pixels of 1.5 mm, which see 312 mm at the isocentre.

    Args:
        isocenter_mm: LPS position of the isocentre.

    Returns:
        AP and lateral view.
    """
    return orthogonal_pair(ConeBeam(1000.0, 1536.0), Detector(320, 320, (1.5, 1.5)), isocenter_mm)


def upright_stand(isocenter_mm: Vector3 = (0.0, 0.0, 0.0)) -> Biplanar:
    """An upright wall stand: SAD 1500, SID 1800 mm; 384 x 384 pixels of 1 mm, which see 320 mm at the isocentre.

    Args:
        isocenter_mm: LPS position of the isocentre.

    Returns:
        AP and lateral view.
    """
    return orthogonal_pair(ConeBeam(1500.0, 1800.0), Detector(384, 384, (1.0, 1.0)), isocenter_mm)


def parallel_pair(isocenter_mm: Vector3 = (0.0, 0.0, 0.0)) -> Biplanar:
    """Parallel beams with 320 x 320 pixels of 1 mm.

    Args:
        isocenter_mm: LPS position of the isocentre.

    Returns:
        AP and lateral view.
    """
    return orthogonal_pair(ParallelBeam(), Detector(320, 320, (1.0, 1.0)), isocenter_mm)


def eos(isocenter_mm: Vector3 = (0.0, 0.0, 0.0)) -> Biplanar:
    """An EOS scanner, two fans that move down along the body: SID 1300, SAD 987 (AP) and 918 mm (lateral).

    The distances are those of Groisser 2019 (arXiv:1904.06711). 320 x 360 pixels of 1 mm at the isocentre.

    Args:
        isocenter_mm: LPS position of the isocentre, where the two planes of the sources cross.

    Returns:
        AP and lateral view.
    """
    return _slot_pair(SlotScan(987.0, 1300.0), SlotScan(918.0, 1300.0), isocenter_mm)


def ct_scout(isocenter_mm: Vector3 = (0.0, 0.0, 0.0)) -> Biplanar:
    """The scouts of a CT scanner, whose tube stands still while the table moves: SAD 570, SID 1040 mm.

    Other makes have some 540 and 950 mm. 320 x 360 pixels of 1 mm at the isocentre.

    Args:
        isocenter_mm: LPS position of the isocentre, on the axis of the gantry.

    Returns:
        AP and lateral view.
    """
    return _slot_pair(SlotScan(570.0, 1040.0), SlotScan(570.0, 1040.0), isocenter_mm)


def _slot_pair(ap: SlotScan, lateral: SlotScan, isocenter_mm: Vector3) -> Biplanar:
    """AP and lateral with 320 x 360 pixels of 1 mm at the isocentre: a fan from near widens what lies before it."""
    front, side = (
        View(beam, Detector(320, 360, (1.0, beam.magnification)), angle_deg, isocenter_mm=isocenter_mm)
        for beam, angle_deg in ((ap, 0.0), (lateral, 90.0))
    )
    return Biplanar(front, side)


PRESETS = {"c-arm": c_arm, "upright": upright_stand, "parallel": parallel_pair, "eos": eos, "ct-scout": ct_scout}
