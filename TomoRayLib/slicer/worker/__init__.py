"""Jobs in a process of their own: folder, process, progress, failures, devices. Knows no nodes and no Qt."""
