"""Signs a request as Slack does, with the official SDK.

usage: sign.py SECRET TIMESTAMP BODY

Prints the value of X-Slack-Signature, and first makes sure that the SDK itself would believe it.
"""

import sys

from slack_sdk.signature import Clock, SignatureVerifier


class Fixed(Clock):
    """The time of the request, so that only the signature is judged."""

    def __init__(self, at: float) -> None:
        self.at = at

    def now(self) -> float:
        return self.at


def main(secret: str, timestamp: str, body: str) -> None:
    verifier = SignatureVerifier(secret, clock=Fixed(float(timestamp)))
    signature = verifier.generate_signature(timestamp=timestamp, body=body)
    assert verifier.is_valid(body=body, timestamp=timestamp, signature=signature)
    print(signature)


main(*sys.argv[1:])
