"""Stand-in for Slicer's Sample Data module: keeps what modules register, and loads it as Slicer does."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import slicer
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleWidget,
)


class SampleData(ScriptedLoadableModule):
    def __init__(self, parent) -> None:
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = "Sample Data"
        parent.categories = ["Informatics"]
        slicer.modules.sampleDataSources = {}


class SampleDataWidget(ScriptedLoadableModuleWidget):
    """No panel."""


@dataclass(eq=False)
class SampleDataSource:
    """One registered sample; the lists are as long as each other."""

    sampleName: str
    sampleDescription: str = ""
    uris: list = field(default_factory=list)
    fileNames: list = field(default_factory=list)
    nodeNames: list = field(default_factory=list)
    checksums: list = field(default_factory=list)
    loadFiles: list = field(default_factory=list)
    customDownloader: object = None
    thumbnailFileName: str | None = None
    loadFileTypes: list = field(default_factory=list)
    loadFileProperties: list = field(default_factory=list)


def _as_list(value, length: int) -> list:
    """One entry for each file, as Slicer expands single values."""
    return list(value) if isinstance(value, (list, tuple)) else [value] * length


class SampleDataLogic(ScriptedLoadableModuleLogic):
    """Registers and loads samples."""

    @staticmethod
    def registerCustomSampleDataSource(
        category="Custom",
        sampleName=None,
        uris=None,
        fileNames=None,
        nodeNames=None,
        customDownloader=None,
        thumbnailFileName=None,
        loadFileTypes=None,
        loadFiles=None,
        loadFileProperties={},  # noqa: B006 (Slicer's signature)
        checksums=None,
    ) -> None:
        """Add a sample to a category; one of the same name in it is replaced."""
        count = len(uris) if isinstance(uris, (list, tuple)) else 1
        lists = {
            "uris": uris,
            "fileNames": fileNames,
            "nodeNames": nodeNames,
            "checksums": checksums,
            "loadFiles": loadFiles,
            "loadFileTypes": loadFileTypes,
            "loadFileProperties": loadFileProperties,
        }
        expanded = {name: _as_list(value, count) for name, value in lists.items()}
        source = SampleDataSource(
            sampleName, customDownloader=customDownloader, thumbnailFileName=thumbnailFileName, **expanded
        )
        known = slicer.modules.sampleDataSources.setdefault(category, [])
        known[:] = [other for other in known if other.sampleName != sampleName] + [source]

    @staticmethod
    def sampleDataSourcesByCategory(category=None):
        sources = slicer.modules.sampleDataSources
        return sources if category is None else sources.get(category, [])

    def sourceForSampleName(self, sampleName):
        everything = [source for known in slicer.modules.sampleDataSources.values() for source in known]
        return next((source for source in everything if source.sampleName == sampleName), None)

    def downloadFileIntoCache(self, uri, name, checksum=None, forceDownload=False):
        """Fetch a file into Slicer's cache unless it is there already; returns its path."""
        path = Path(slicer.app.cachePath) / name
        if not slicer.util.downloadFile(uri, str(path), checksum):
            raise ValueError(f"could not fetch {uri}")
        return str(path)

    def downloadSourceIntoCache(self, source):
        entries = zip(source.uris, source.fileNames, source.checksums, strict=True)
        return [self.downloadFileIntoCache(uri, name, checksum) for uri, name, checksum in entries]

    def downloadFromSource(self, source, maximumAttemptsCount=3, forceDownload=False):
        """Fetch and load a sample; a list of nodes. A custom downloader is for the button alone, as in Slicer."""
        paths = self.downloadSourceIntoCache(source)
        kinds = [kind or "VolumeFile" for kind in source.loadFileTypes]
        return [
            slicer.util.loadNodeFromFile(path, kind, {"name": name} if name else {})
            for path, kind, name in zip(paths, kinds, source.nodeNames, strict=True)
        ]

    def downloadSample(self, sampleName):
        """Load a sample by name; the node, if it has only one."""
        nodes = self.downloadFromSource(self.sourceForSampleName(sampleName))
        return nodes[0] if isinstance(nodes, list) else nodes
