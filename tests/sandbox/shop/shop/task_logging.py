"""Profile b: what a worker's lines know of their task. No line of a worker names a request."""

import structlog
from celery.signals import task_failure, task_postrun, task_prerun, task_retry, task_success

log = structlog.get_logger("shop.tasks")


@task_prerun.connect
def bind_task(task_id, task, **_kwargs):
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(
        task_id=task_id,
        task_name=task.name,
        queue=(task.request.delivery_info or {}).get("routing_key"),
        retries=task.request.retries,
    )
    log.info("task_started")


@task_success.connect
def say_success(**_kwargs):
    log.info("task_succeeded")


@task_retry.connect
def say_retry(reason, **_kwargs):
    log.warning("task_retrying", reason=str(reason))


@task_failure.connect
def say_failure(exception, einfo, **_kwargs):
    log.error("task_failed", error=str(exception), exception=str(einfo))


@task_postrun.connect
def unbind_task(**_kwargs):
    structlog.contextvars.clear_contextvars()
