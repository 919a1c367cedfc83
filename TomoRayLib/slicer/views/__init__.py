"""How a case looks in Slicer: layouts, display properties and the SYNTHETIC CT marking. MRML only, no Qt."""
