"""Tracking with MLflow, and the identity of an execution of the pipeline."""

import os

# MLflow reads these when it is imported. A run must not contact servers that the user has not named. Requirements of a
# model are given when it is logged. One progress bar per file would flood a log.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_SKIP_PIP_REQUIREMENTS_CHECK", "true")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
