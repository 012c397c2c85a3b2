"""Mail: receipts and newsletters, through the relay."""

import smtplib
import time
from email.message import EmailMessage

from celery import shared_task
from django.conf import settings

from shop.events import get_log

log = get_log(__name__)


@shared_task(
    name="mail.send_receipt",
    autoretry_for=(smtplib.SMTPException, OSError),
    max_retries=3,
    retry_backoff=settings.MAIL_RETRY_BACKOFF,
    retry_jitter=False,
)
def send_receipt(order_id, email):
    message = EmailMessage()
    message["From"] = "shop@shop.example"
    message["To"] = email
    message["Subject"] = f"Your order {order_id}"
    message.set_content(f"Thank you for order {order_id}.")
    with smtplib.SMTP(settings.MAIL_HOST, settings.MAIL_PORT, timeout=10) as relay:
        relay.send_message(message)
    log.event("info", "receipt_sent", order_id=order_id)


@shared_task(name="mail.send_newsletter")
def send_newsletter(seconds):
    log.event("info", "newsletter_started", recipients=12_000)
    time.sleep(seconds)
    log.event("info", "newsletter_sent", recipients=12_000)
