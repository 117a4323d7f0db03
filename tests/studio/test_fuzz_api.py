"""The studio's API asked at random for whatever its description allows; each answer is one that it describes."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

schemathesis: Any = pytest.importorskip("schemathesis", reason="no schemathesis: pip install 'fauxley[dev]'")
hypothesis: Any = pytest.importorskip("hypothesis", reason="no hypothesis: pip install 'fauxley[dev]'")
pytestmark = pytest.mark.slow

EXAMPLES = 12  # of each operation


def test_the_api_is_what_it_says(studio: TestClient) -> None:
    schema = schemathesis.openapi.from_asgi("/api/openapi.json", studio.app, headers={"host": "localhost"})
    asked: set[str] = set()
    for each in schema.get_all_operations():
        operation = each.ok()

        def ask(case: Any) -> None:
            response = case.call_and_validate(headers={"host": "localhost"})
            assert response.status_code < 500

        settings = hypothesis.settings(max_examples=EXAMPLES, deadline=None, derandomize=True, database=None)
        settings(hypothesis.given(case=operation.as_strategy())(ask))()
        asked.add(operation.label)
    assert {f"POST /api/{name}" for name in ("generate", "vary", "morph", "invert", "export")} <= asked
