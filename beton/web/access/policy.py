"""Each address says who may use it, in the `opt` of its handler: `{"needs": Permission.DECIDE}` or `{"public": True}`.

A handler that says neither does not start: forgetting the policy is not the same as having none.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from litestar import Litestar
from litestar.exceptions import ImproperlyConfiguredException
from litestar.handlers import HTTPRouteHandler
from litestar.routes import ASGIRoute, HTTPRoute

from beton.errors import Forbidden
from beton.roles import Caller, Permission

NEEDS = "needs"
"""The key in a handler's `opt` that names the permission it asks for."""

PUBLIC = "public"
"""The key in a handler's `opt` that opens it to everyone."""

OPEN: dict[str, Any] = {PUBLIC: True}


def needs(permission: Permission) -> dict[str, Any]:
    """The `opt` of a handler for those who have a permission."""
    return {NEEDS: permission}


def is_public(opt: dict[str, Any]) -> bool:
    """Whether everyone may."""
    return opt.get(PUBLIC) is True


def check_caller(caller: Caller, opt: dict[str, Any]) -> None:
    """`Forbidden` unless the caller has what the handler needs. What the framework adds itself (OPTIONS) needs nothing but a caller."""
    wanted = opt.get(NEEDS)
    if wanted is not None and not caller.may(wanted):
        what = f"as {caller.role}" if caller.role else "with this key"
        raise Forbidden(f"This needs the permission {wanted}, which you do not have {what}.", details={"needs": str(wanted)})


def check_policies(app: Litestar) -> None:
    """Refuses an application with a handler that says neither what it needs nor that it is public, or both."""
    for route in app.routes:
        for opt, name in _handlers(route):
            if (isinstance(opt.get(NEEDS), Permission)) is is_public(opt):
                raise ImproperlyConfiguredException(f'{name} at {route.path} has to say opt={{"needs": Permission.…}} or opt={{"public": True}}.')


def _handlers(route: Any) -> Iterator[tuple[dict[str, Any], str]]:
    if isinstance(route, HTTPRoute):
        own = [one for one in route.route_handlers if isinstance(one, HTTPRouteHandler) and one.http_methods != {"OPTIONS"}]
    elif isinstance(route, ASGIRoute):
        own = [route.route_handler]
    else:
        raise ImproperlyConfiguredException(f"Nothing but HTTP is served, and {route.path} is something else.")
    for one in own:
        yield dict(one.opt), one.handler_name
