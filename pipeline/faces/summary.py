"""What a crop store tells of its faces, in numbers."""

from pathlib import Path

from pipeline.data.crops import read_description
from pipeline.files.io import read_parquet

METHODS = ("mtcnn", "haar", "whole", "given")


def summary(folder: Path) -> dict[str, int | float]:
    """Counts of the store at ``folder``, and medians; detection_rate is MTCNN's share of the pictures searched.

    Sets of pictures that were all taken as they are given have no detection_rate and no median_score.
    """
    description = read_description(folder)
    rows = read_parquet(folder / "manifest.parquet", ["method", "faces", "score", "turned", "sharpness"])
    methods = {method: description["methods"].get(method, 0) for method in METHODS}
    searched = len(rows) - methods["given"]
    counts: dict[str, int | float] = {
        "pictures": len(rows) + len(description["unreadable"]),
        "crops": len(rows),
        "unreadable": len(description["unreadable"]),
        **methods,
        "turned": int((rows["turned"] > 0).sum()),
        "several_faces": int((rows["faces"] > 1).sum()),
        "median_sharpness": round(float(rows["sharpness"].median()), 1),
    }
    if searched:
        counts["detection_rate"] = methods["mtcnn"] / searched
    if methods["mtcnn"]:
        counts["median_score"] = round(float(rows["score"].median()), 4)
    return counts
