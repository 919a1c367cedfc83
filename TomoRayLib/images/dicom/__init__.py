"""DICOM: radiographs, stacks of slices and segmentations, by the rules of the standard."""
