"""Headers of volume files (NIfTI, NRRD, MetaImage): where their voxels lie, by the definitions of the formats."""
