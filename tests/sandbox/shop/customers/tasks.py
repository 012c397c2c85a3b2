"""The CRM's side of the customers.

The fault `leaky-log` lives here: lines that a log should never hold, between figures that only look like secrets.
Every secret is invented; `SECRETS` in tests/sandbox/faults.json lists those that must never be shown.
"""

import logging
import sys

from celery import shared_task

from shop.events import get_log

from .models import Customer

log = get_log(__name__)
plain = logging.getLogger("crm.client")

CARD = "4111 1111 1111 1111"
CRM_URL = "https://crm-user:Tr0ub4dor-and-3@crm.example/v1/contacts?api_key=ak_live_51Hq8Zp2"
BEARER = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJzaG9wIn0.c2lnbmF0dXJlLW9mLXNob3A"


@shared_task(name="customers.sync_crm")
def sync_crm(customer_id):
    customer = Customer.objects.get(pk=customer_id)
    log.event("info", "crm_request", url=CRM_URL, authorization=f"Bearer {BEARER}", customer_email=customer.email)
    log.event("info", "crm_login", username="crm-user", password="Tr0ub4dor-and-3", session_id="sess-7f3a9c11d2")
    log.event("info", "crm_card_on_file", card_number=CARD, cvv="737")
    # Figures, no secrets: a redactor that hides these hides the answer.
    log.event("info", "crm_summary_written", tokens=812, prompt_tokens=640, token_count=172, model="small-2")
    plain.info("POST %s headers={'Authorization': 'Bearer %s', 'X-Api-Key': 'ak_live_51Hq8Zp2'}", CRM_URL, BEARER)
    plain.info("retrying with password=Tr0ub4dor-and-3 for %s, usage: tokens=812 prompt_tokens=640", customer.email)
    plain.warning("card %s declined for %s", CARD.replace(" ", ""), customer.email)
    # A library that writes to the terminal it thinks it has: colours, a title, a cleared screen, a link, a bell.
    print(
        "\x1b[31;1mCRM WARNING\x1b[0m quota at 93%\x07"
        "\x1b]0;owned by the log\x07\x1b[2J\x1b[H\x1b]8;;https://evil.example/\x1b\\click\x1b]8;;\x1b\\"
        "\x1b[8mhidden\x1b[28m \u202egnp.exe\u202c done\rOVERWRITTEN",
        file=sys.stderr,
        flush=True,
    )
    return {"synchronised": customer.pk}
