"""An SMTP server that keeps what it is sent: prints its port, then a line of JSON for each mail.

usage: smtp_sink.py [starttls|tls CERTIFICATE KEY USER PASSWORD]

Without a word it takes mail from everybody, and the first mail is put off (451), as a server does
that is busy. Otherwise it takes mail by TLS alone, from whoever knows the password.
"""

import asyncio
import json
import logging
import ssl
import sys
import warnings

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

MODE, CERTIFICATE, KEY, USER, PASSWORD = (sys.argv[1:] + [None] * 5)[:5]


class Sink:
    def __init__(self):
        self.put_off = MODE is not None

    async def handle_DATA(self, server, session, envelope):
        if not self.put_off:
            self.put_off = True
            print(json.dumps({"put_off": envelope.rcpt_tos}), flush=True)
            return "451 later"
        text = envelope.content.decode()
        mail = {"from": envelope.mail_from, "to": envelope.rcpt_tos, "text": text}
        print(json.dumps(mail), flush=True)
        return "250 kept"


def knows(server, session, envelope, mechanism, said):
    expected = LoginPassword(USER.encode(), PASSWORD.encode())
    # Its own answer, as it would be without us.
    return AuthResult(success=said == expected, handled=False)


async def main():
    # Handshakes that clients break off are what the tests are about.
    for name in ("mail.log", "asyncio"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    sink, options, wrapped = Sink(), {}, None
    if MODE:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(CERTIFICATE, KEY)
        options = {"auth_required": True, "authenticator": knows}
        if MODE == "tls":
            wrapped = context
            # What it knows of TLS is STARTTLS.
            options["auth_require_tls"] = False
            warnings.simplefilter("ignore", UserWarning)
        else:
            options |= {"tls_context": context, "require_starttls": True}
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(sink, **options), "127.0.0.1", 0, ssl=wrapped)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


asyncio.run(main())
