"""Mail through the operator's own sender (SMTP): plain text to one person, nothing about health."""

from __future__ import annotations

import asyncio
import re
import smtplib
import ssl
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid
from typing import Final

from pgo.errors import BadValue, Unavailable
from pgo.moment import moment

SECONDS: Final = 20.0
_ADDRESS: Final = re.compile(
    r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})+"
)
_LONGEST: Final = 254


@dataclass(frozen=True, slots=True)
class Sender:
    """How mail leaves: `tls` is starttls, tls or none; no `host` means there is no mail."""

    host: str = ""
    port: int = 587
    tls: str = "starttls"
    user: str = ""
    password: str = ""
    address: str = ""


def checked(address: str) -> str:
    """An e-mail address.

    Raises:
        BadValue: it is none.
    """
    if len(address) > _LONGEST or not _ADDRESS.fullmatch(address):
        raise BadValue("not an e-mail address", place="email")
    return address


async def send(sender: Sender, to: str, subject: str, text: str, at: int) -> None:
    """Hand one message to the sender; `at` µs since 1970, for its date.

    Raises:
        Unavailable: it did not take it.
    """
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = sender.address, to, subject
    message["Date"] = format_datetime(moment(at))
    message["Message-ID"] = make_msgid(domain=sender.address.rpartition("@")[2])
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(text)
    try:
        await asyncio.to_thread(_hand_over, sender, message)
    except (OSError, smtplib.SMTPException) as fault:
        raise Unavailable("the mail sender did not take the message") from fault


def _hand_over(sender: Sender, message: EmailMessage) -> None:
    context = ssl.create_default_context()
    if sender.tls == "tls":
        link: smtplib.SMTP = smtplib.SMTP_SSL(
            sender.host, sender.port, timeout=SECONDS, context=context
        )
    else:
        link = smtplib.SMTP(sender.host, sender.port, timeout=SECONDS)
    with link:
        if sender.tls == "starttls":
            link.starttls(context=context)
        if sender.user:
            link.login(sender.user, sender.password)
        link.send_message(message)
