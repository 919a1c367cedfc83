# Packing is Slicer's own business.
