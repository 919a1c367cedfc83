"""DICOM out: a synthetic CT as a series of slices, its vertebrae as a Segmentation object, and whose they are."""
