"""What is passed on of errors of MLflow's database, and what is not logged beside them."""

import logging

import pytest
import sqlalchemy
from sqlalchemy.exc import OperationalError

from pipeline.tracking.store import DATABASE, short_message


def test_an_error_of_the_database_is_reported_without_its_statement() -> None:
    with sqlalchemy.create_engine("sqlite://").connect() as connection, pytest.raises(OperationalError) as raised:
        connection.execute(sqlalchemy.text("INSERT INTO runs VALUES (:key)"), {"key": "x" * 5000})
    assert "[SQL:" in str(raised.value)
    assert short_message(raised.value) == "(sqlite3.OperationalError) no such table: runs"


def test_what_is_reported_is_not_logged_with_a_traceback_before() -> None:
    assert DATABASE
    assert not logging.getLogger("mlflow.store.db.utils").isEnabledFor(logging.CRITICAL)
