"""The OpenAPI document says what the service does: drawn requests, every answer as documented."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.long


def test_every_answer_is_as_documented(service) -> None:
    import schemathesis
    from hypothesis import HealthCheck, Phase, given, settings
    from schemathesis import GenerationMode
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi import checks as promises

    checks = [
        not_a_server_error,
        promises.status_code_conformance,
        promises.content_type_conformance,
        promises.response_headers_conformance,
        promises.response_schema_conformance,
    ]
    document = schemathesis.openapi.from_url(f"{service.url}/v1/openapi.json")
    for operation in document.get_all_operations():
        one = operation.ok()
        right, wrong = (one.as_strategy(generation_mode=mode) for mode in GenerationMode)

        @settings(
            max_examples=100,
            deadline=None,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=right | wrong)
        def holds(case) -> None:
            case.call_and_validate(headers={"x-vidx": "1"}, timeout=60, checks=checks)

        holds()
