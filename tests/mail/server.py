"""A mail server on loopback: keeps every mail it takes, one JSON object a line, and refuses the addresses that it is told to.

    server.py KEPT MOOD PORT [--certificate FILE --key FILE] [--user NAME --password WORD]

MOOD is a file that may hold a JSON object: an address, or `*`, and what is answered to it, such as `451 4.3.0 later`.
PORT is the file that says, once it listens, where. With a certificate nothing is taken before STARTTLS; with a user nothing before a sign-in.
"""

import argparse
import asyncio
import email
import email.policy
import json
import pathlib
import ssl

from aiosmtpd.smtp import SMTP, AuthResult


class Keeper:
    def __init__(self, kept, mood):
        self.kept = kept
        self.mood = mood

    async def handle_RCPT(self, server, session, envelope, address, options):
        mood = json.loads(self.mood.read_text()) if self.mood.exists() else {}
        refusal = mood.get(address, mood.get("*"))
        if refusal:
            return refusal
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)

        def part(kind):
            found = mail.get_body(preferencelist=(kind,))
            return found.get_content() if found else None

        kept = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "headers": {name.lower(): str(value) for name, value in mail.items()},
            "type": mail.get_content_type(),
            "text": part("plain"),
            "html": part("html"),
            "encrypted": session.ssl is not None,
        }
        with self.kept.open("a") as file:
            file.write(json.dumps(kept) + "\n")
        return "250 OK"


def believes(user, password):
    def authenticate(server, session, envelope, mechanism, data):
        given = (data.login.decode(), data.password.decode())
        return AuthResult(success=given == (user, password), handled=False)

    return authenticate


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("kept", type=pathlib.Path)
    parser.add_argument("mood", type=pathlib.Path)
    parser.add_argument("port", type=pathlib.Path)
    parser.add_argument("--certificate")
    parser.add_argument("--key")
    parser.add_argument("--user")
    parser.add_argument("--password")
    given = parser.parse_args()
    options = {"hostname": "mail.example"}
    if given.certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(given.certificate, given.key)
        options |= {"tls_context": context, "require_starttls": True}
    if given.user:
        options |= {"authenticator": believes(given.user, given.password), "auth_required": True}
    keeper = Keeper(given.kept, given.mood)
    server = await asyncio.get_running_loop().create_server(lambda: SMTP(keeper, **options), "127.0.0.1", 0)
    given.port.write_text(f"{server.sockets[0].getsockname()[1]}\n")
    await server.serve_forever()


asyncio.run(main())
