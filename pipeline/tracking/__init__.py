"""All that touches MLflow, and which execution of the pipeline this is."""

import os

# MLflow reads these when it is imported: a run must not talk to anyone the user has not named, what a model needs is
# named where it is logged, and a bar for every file that goes to or comes from the store would fill a log.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_SKIP_PIP_REQUIREMENTS_CHECK", "true")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
