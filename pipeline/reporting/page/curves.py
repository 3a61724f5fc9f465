"""Curves of a training: what is measured in every epoch."""

import pandas as pd
import plotly.graph_objects as go

from pipeline.reporting.page.content import Plot
from pipeline.reporting.page.plots import AFTER_COLOUR

FIRST = "loss"
"""The column that is shown at first; a click on its name in the legend shows another: their scales differ."""

FEW = 20
"""Epochs of which each has its number below the plot."""


def curves(name: str, title: str, table: pd.DataFrame, mark: str) -> list[Plot]:
    """One plot of all columns against ``epoch``; none where nothing was trained."""
    columns = [column for column in table.columns if column != "epoch"]
    if table.empty or not columns:
        return []
    first = FIRST if FIRST in columns else columns[0]
    figure = go.Figure()
    for column in sorted(columns, key=lambda column: column != first):
        values = table[[column, "epoch"]].dropna()
        figure.add_scatter(
            x=values["epoch"].tolist(),
            y=values[column].tolist(),
            mode="lines+markers",
            name=column,
            line={"color": AFTER_COLOUR} if column == first else None,
            visible=True if column == first else "legendonly",
            hovertemplate=f"epoch %{{x}}: %{{y:.4g}}{mark}<extra>{column}</extra>",
        )
    figure.update_layout(
        xaxis={"title": "epoch", "dtick": 1 if len(table) < FEW else None}, height=380, showlegend=True
    )
    return [Plot(name, title, figure)]
