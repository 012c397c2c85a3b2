"""A small mail relay: takes every mail and throws it away, and hangs up on recipients at `hangup.example`.

It speaks as much SMTP as smtplib needs. Standard library only: in a pod it runs with the machine's own Python.
"""

import argparse
import socketserver
import sys
from datetime import UTC, datetime


class Session(socketserver.StreamRequestHandler):
    def handle(self):
        self.say("220 relay.example ESMTP")
        while line := self.rfile.readline(4096).decode("utf-8", "replace").strip():
            verb = line.split(" ", 1)[0].upper()
            if verb == "RCPT" and "@hangup.example" in line:
                report(f"closing the connection on {line}")
                return
            if verb == "QUIT":
                self.say("221 bye")
                return
            if verb == "DATA":
                self.say("354 go on")
                self.skip_mail()
            self.say("250 ok")

    def skip_mail(self):
        """A lone dot ends the mail."""
        while (line := self.rfile.readline(65536)) and line.strip() != b".":
            pass

    def say(self, line):
        self.wfile.write(f"{line}\r\n".encode())


class Relay(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True

    def handle_error(self, request, client_address):
        """A probe of the node opens the port and goes away: no error of a relay."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


def report(text):
    print(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} relay: {text}", file=sys.stderr, flush=True)


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--host", default="127.0.0.1")
    arguments.add_argument("--port", type=int, required=True)
    at = arguments.parse_args()
    with Relay((at.host, at.port), Session) as relay:
        report(f"listening on {at.host}:{at.port}")
        relay.serve_forever()


if __name__ == "__main__":
    main()
