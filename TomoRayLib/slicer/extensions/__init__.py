"""Other extensions that TomoRay uses: PyTorch and TotalSegmentator."""
