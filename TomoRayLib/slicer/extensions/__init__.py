"""Other extensions and modules that TomoRay uses: PyTorch, TotalSegmentator, Sample Data."""
