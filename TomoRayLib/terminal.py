"""What a person sees in the terminal while a job runs and when it is done."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

HEADLINE = (
    "cosine_similarity",
    "psnr_3d_db",
    "ssim_2d",
    "dice",
    "hd95_mm",
    "assd_mm",
    "nsd_1mm",
    "nsd_2mm",
    "psnr_in_mask_db",
    "ssim_in_mask",
    "mae_in_mask_hu",
)


class Display:
    """Shows a job's events: a bar with the stage and the time left, then a table and the files."""

    def __init__(self, console: Console) -> None:
        columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[left]}"))
        self.console = console
        self.progress = Progress(*columns, TimeElapsedColumn(), console=console, transient=True)
        self.task: TaskID | None = None
        self.last: dict[str, Any] | None = None

    def __enter__(self) -> Display:
        self.progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.progress.stop()

    def __call__(self, event: dict[str, Any]) -> None:
        kind = event["event"]
        if kind == "stage":
            self._show_stage(event)
        elif kind == "note":
            self.progress.console.print(f"[yellow]Note[/] {escaped(event['text'])}", highlight=False)
        else:
            self.last = event

    def _show_stage(self, event: dict[str, Any]) -> None:
        text = f"{event['stage']} ({event['number']}/{event['of']})"
        left = f"about {max(1, round(event['seconds_left']))} s left"
        if self.task is None:
            self.task = self.progress.add_task(text, total=event["of"], left=left)
        self.progress.update(self.task, description=text, completed=event["number"] - 1, left=left)

    def close(self) -> None:
        """What is to be said once the bar is gone."""
        if self.last is None:
            return
        if self.last["event"] == "error":
            self.console.print(f"[bold red]Error[/] {escaped(self.last['message'])}", highlight=False)
            if "details" in self.last:
                self.console.print(self.last["details"], markup=False, highlight=False)
            return
        out = Console()
        if self.last.get("metrics"):
            out.print(_metrics_table(self.last["metrics"]))
        out.print("[bold]SYNTHETIC CT - research use only, not for diagnosis or treatment.[/]")
        folder = Path(self.last["folder"]) if "folder" in self.last else None
        for name in self.last["files"]:
            out.print(f"  {folder / name if folder else name}", highlight=False, soft_wrap=True)
        memory = self.last.get("peak_memory_mb")
        cost = f", peak memory {memory / 1000:.2f} GB" if memory else ""
        out.print(f"{self.last['seconds']:.1f} s{cost}", highlight=False)


def _metrics_table(metrics: dict[str, Any]) -> Table:
    from TomoRayLib.metrics import METRIC_COLUMNS

    table = Table("metric", "better", *(name.replace("_", " ") for name in metrics["rows"]))
    for column in METRIC_COLUMNS:
        if column.key in HEADLINE:
            values = [metrics["rows"][name][column.key] for name in metrics["rows"]]
            shown = ["-" if value is None else column.format(value) for value in values]
            table.add_row(column.heading, "higher" if column.higher_is_better else "lower", *shown)
    return table


def escaped(text: str) -> str:
    return text.replace("[", "\\[")
