"""Evaluates a boolean flag through the OpenFeature SDK and its OFREP provider, as a user's service would.

usage: evaluate.py BASE_URL TOKEN FLAG TARGETING_KEY...     (an empty TOKEN sends no Authorization)

Prints one JSON object per targeting key, in order: value, reason, variant, error. The SDK's default is false.
"""

import json
import sys

from openfeature import api
from openfeature.contrib.provider.ofrep import OFREPProvider
from openfeature.evaluation_context import EvaluationContext


def main(base_url: str, token: str, flag: str, *targeting_keys: str) -> None:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    api.set_provider(OFREPProvider(base_url, headers_factory=lambda: headers))
    client = api.get_client()
    for key in targeting_keys:
        found = client.get_boolean_details(flag, False, EvaluationContext(targeting_key=key))
        error = None if found.error_code is None else f"{found.error_code.value}: {found.error_message}"
        answer = {"value": found.value, "reason": found.reason, "variant": found.variant, "error": error}
        print(json.dumps(answer))


main(*sys.argv[1:])
