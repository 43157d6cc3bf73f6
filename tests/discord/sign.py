"""Signs a request as Discord does, with the library that Discord's documentation verifies with.

usage: sign.py SEED TIMESTAMP BODY

Prints the public key and the value of X-Signature-Ed25519, and first makes sure that the library itself would believe it,
in the very words of the documentation.
"""

import sys

from nacl.signing import SigningKey, VerifyKey


def main(seed: str, timestamp: str, body: str) -> None:
    key = SigningKey(bytes.fromhex(seed))
    signature = key.sign(f"{timestamp}{body}".encode()).signature
    public_key = key.verify_key.encode().hex()
    verify_key = VerifyKey(bytes.fromhex(public_key))
    verify_key.verify(f"{timestamp}{body}".encode(), signature)
    print(public_key, signature.hex())


main(*sys.argv[1:])
