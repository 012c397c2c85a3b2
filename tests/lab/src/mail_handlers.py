"""Mail servers with a will of their own, for aiosmtpd's `-c`."""

from aiosmtpd.handlers import Mailbox


class puts_off(Mailbox):
    """Wants to be asked again the first time, and keeps the mail then."""

    left = 1

    async def handle_RCPT(self, server, session, envelope, address, options):
        if puts_off.left:
            puts_off.left -= 1
            return "451 4.7.1 come again later"
        envelope.rcpt_tos.append(address)
        return "250 OK"


class refuses(Mailbox):
    """Knows nobody."""

    async def handle_RCPT(self, server, session, envelope, address, options):
        return "550 5.1.1 there is nobody of that name"
