"""An SMTP server that keeps what it is sent: prints its port, then a line of JSON for each mail.

The first mail is put off (451), as a server does that is busy.
"""

import json
import socket
import sys

from aiosmtpd.controller import Controller


class Sink:
    def __init__(self):
        self.put_off = False

    async def handle_DATA(self, server, session, envelope):
        if not self.put_off:
            self.put_off = True
            print(json.dumps({"put_off": envelope.rcpt_tos}), flush=True)
            return "451 later"
        text = envelope.content.decode()
        mail = {"from": envelope.mail_from, "to": envelope.rcpt_tos, "text": text}
        print(json.dumps(mail), flush=True)
        return "250 kept"


with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    port = probe.getsockname()[1]
controller = Controller(Sink(), hostname="127.0.0.1", port=port)
controller.start()
print(port, flush=True)
sys.stdin.read()
controller.stop()
