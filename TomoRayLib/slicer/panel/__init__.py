"""The Qt widgets of the module: sections, run box, parameter node. What needs no Qt belongs in the other packages."""
