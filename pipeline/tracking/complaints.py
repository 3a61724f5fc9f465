"""What MLflow and its database say when something is wrong, in one message and not in tracebacks of their own."""

import logging


def silence() -> None:
    """Keep MLflow from printing a traceback of what it raises anyway, which this project reports."""
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL + 1)


def told(error: BaseException) -> str:
    """What a person needs of an error: SQLAlchemy's has the statement and a page of its parameters behind it."""
    lines = str(error).partition("\n[SQL:")[0].splitlines()
    return "\n".join(line for line in lines if not line.startswith("(raised as a result of Query-invoked autoflush"))
