"""The report as one file to look at, offline: its tables to sort, plots to point at, predictions to filter."""
