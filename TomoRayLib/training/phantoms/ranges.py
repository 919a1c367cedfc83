"""The ranges that each property of a phantom is drawn from."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PhantomRanges:
    """The range that each property of a phantom is drawn from: (low, high) of a uniform draw unless named otherwise.

    A ``_share`` is the probability that a phantom has it at all.
    """

    # Shape and place (deformation.py, curvature.py)
    spine_scale: tuple[float, float] = (0.85, 1.15)
    spine_width_scale: tuple[float, float] = (0.92, 1.08)
    level_scale_sd: tuple[float, float, float] = (0.0, 0.0, 0.0)  # of each vertebra's width, depth and height
    rotation_sd_deg: float = 5.0
    elastic_sd_mm: tuple[float, float] = (0.8, 2.5)  # of each component of the displacement
    bend_mm: tuple[float, float] = (0.0, 18.0)
    scoliosis_share: float = 0.12
    scoliosis_cobb_deg: tuple[float, float] = (10.0, 60.0)  # of its largest curve, on top of the spine's own
    s_shaped_share: float = 0.4  # of the scolioses; the others are C-shaped
    sagittal_share: float = 0.25  # more or less kyphosis or lordosis than the spine has
    sagittal_change_deg: tuple[float, float] = (-30.0, 30.0)
    body_stretch: tuple[float, float] = (0.85, 1.2)
    body_level_error_sd_mm: float = 12.0
    seated_share: float = 0.9  # whose lowest vertebra stands on the body's sacrum, if both are there (sacrum.py)
    # Bone (density.py, bone.py); fitted to real CTs, see docs/training.md
    trabecular_hu: tuple[float, float] = (60.0, 260.0)  # at T12, triangular about the middle
    osteopenic_share: float = 0.35
    osteopenic_hu: tuple[float, float] = (-30.0, 60.0)  # the same of the osteopenic
    cranial_density_rise: tuple[float, float] = (0.1, 0.9)  # from T12 to T1, as a share
    level_density_sd: tuple[float, float] = (0.03, 0.15)  # from vertebra to vertebra, as a share
    sclerotic_share: float = 0.02  # of the vertebrae
    cortical_hu: tuple[float, float] = (100.0, 900.0)  # of shells, duller where trabecular bone is lost
    shell_power: tuple[float, float] = (0.8, 3.0)
    shell_unevenness: tuple[float, float] = (0.2, 0.7)  # SD of the shell's density on a logarithmic scale
    shell_inset: tuple[float, float] = (0.0, 0.4)  # by which masks reach beyond bone, as a share of a voxel of bone
    texture_sd_hu: tuple[float, float] = (10.0, 70.0)
    endplate_hu: tuple[float, float] = (80.0, 500.0)  # above trabecular bone, at an endplate and within the arch
    # Discs and veins (spinal_marks.py)
    disc_hu: tuple[float, float] = (30.0, 115.0)
    disc_sd_hu: tuple[float, float] = (0.0, 20.0)  # from disc to disc
    disc_gas_share: float = 0.10
    disc_gas_hu: tuple[float, float] = (-900.0, -150.0)
    disc_calcium_share: float = 0.08
    disc_calcium_hu: tuple[float, float] = (200.0, 650.0)
    worn_discs: tuple[int, int] = (1, 4)  # how many hold gas, or calcium: low to high, high included
    vein_share: float = 0.8  # of patients whose basivertebral veins can be seen
    # Spurs and fractures (bone.py, fractures.py)
    osteophyte_share: float = 0.15
    osteophytes: tuple[int, int] = (2, 14)  # how many: low to high, high included
    osteophyte_mm: tuple[float, float] = (3.0, 9.0)  # how far a spur juts out
    fractured_share: float = 0.12  # probability of compressed vertebrae
    fractures: tuple[int, int] = (1, 3)  # how many: low to high, high included
    compression: tuple[float, float] = (0.25, 1.0)  # 1 halves the height where it is worst
    # Implants (implants.py, screws.py)
    implant_share: float = 0.06  # probability of pedicle screws and rods
    implant_levels: tuple[int, int] = (2, 5)
    cage_share: float = 0.04
    cages: tuple[int, int] = (1, 2)
    titanium_share: float = 0.4  # of the cages; the others are of PEEK with markers
    cement_share: float = 0.04
    cemented: tuple[int, int] = (1, 3)  # how many vertebrae
    cement_hu: tuple[float, float] = (1000.0, 2500.0)
    # The body around (tissue.py, surroundings.py)
    body_bone_contrast: tuple[float, float] = (0.6, 1.4)
    soft_tissue_shift_hu: tuple[float, float] = (-20.0, 30.0)
    contrast_share: float = 0.10  # organs and vessels brightened by contrast agent
    contrast_hu: tuple[float, float] = (60.0, 320.0)  # in the aorta, above what was there
    gas_share: float = 0.12  # pockets of bowel gas if the scene holds an abdomen
    gas_pockets: tuple[int, int] = (3, 14)
    oral_contrast_share: float = 0.2  # of phantoms with bowel gas: its pockets hold bright fluid as well
    arms_share: float = 0.12
    arms_up_share: float = 0.5  # of phantoms with arms
    cut_at_body_end: float = 0.85  # probability that the scene ends where the body's scan ends, like a real CT
    table_share: float = 0.5  # probability of a CT table behind the body
    table_hu: tuple[float, float] = (-300.0, 200.0)
    narrow_share: float = 0.12  # probability of a scan reconstructed about the spine alone, as spine CTs often are
    narrow_half_mm: tuple[float, float] = (45.0, 110.0)
