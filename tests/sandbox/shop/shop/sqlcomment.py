"""Says in every statement who asks, as sqlcommenter does: `/*controller='orders.views.index',route='api/orders/'*/`."""

from contextvars import ContextVar
from urllib.parse import quote

from celery.signals import task_postrun, task_prerun
from django.db.backends.signals import connection_created

asker = ContextVar("asker", default=None)


def comment(pairs):
    return "/*" + ",".join(f"{key}='{quote(value, safe='')}'" for key, value in sorted(pairs.items())) + "*/"


def say(execute, sql, params, many, context):
    if pairs := asker.get():
        text = comment(pairs)
        # Where there may be parameters, even none of them, the driver reads a percent sign as the beginning of one.
        sql = f"{sql} {text if params is None else text.replace('%', '%%')}"
    return execute(sql, params, many, context)


def install(connection, **_kwargs):
    if say not in connection.execute_wrappers:
        connection.execute_wrappers.append(say)


connection_created.connect(install)


@task_prerun.connect
def task_begins(task, **_kwargs):
    asker.set({"task": task.name})


@task_postrun.connect
def task_ends(**_kwargs):
    asker.set(None)


class Middleware:
    """Binds the view while a request is served."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        token = asker.set(None)
        try:
            return self.get_response(request)
        finally:
            asker.reset(token)

    def process_view(self, request, view, _args, _kwargs):
        asker.set({"controller": f"{view.__module__}.{view.__name__}", "route": request.resolver_match.route})
