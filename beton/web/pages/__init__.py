"""The screens: server-rendered, with small enhancements on top. Without script they can be read and decided on all the same.

How a screen is made:

1. Its read model is a function in `beton/work/` that takes the workplace and returns frozen values, so that the API can tell the same.
2. Its module here has Litestar handlers, each with `opt=needs(Permission.X)`, `include_in_schema=False` and `sync_to_thread=True`, which take
   `page: ThePage` and `place: ThePlace` and end in `page.render("signals/list.html", title="Signals", at="signals", ...)`, or after a change in
   `page.go("/signals", done="...")` (303). The fields of a form are a parameter `data: FormFields`, read with `text`, `whole` and `many` of `page`;
   who did it is `page.actor`. POST handlers say `status_code=200`. `page.fragment` tells that htmx asks for a part: then render the template
   of that part alone. `HANDLERS` lists them, and `pages_router` below takes them in.
3. Its templates lie in `beton/web/templates/<screen>/`, extend `layout.html` and fill the block `main`, and `stamp` with how fresh the numbers are.
   Links and form targets go through `page.url("/x", a=1)`, files through `page.asset("x.svg")`: both work under a path prefix. Every POST form has
   `{{ marks.csrf() }}` (of `parts/marks.html`). Nothing inline: no `style=`, no `onclick=`, no `<script>` with a body; the content policy refuses
   them. Numbers go through the filters of `figures` (`share`, `times`, `count`, `rate`, `hours`, `instant`, `day`, `plural`) and
   `between(low, high, kind)` and link to `/help/numbers#...`; hypotheses through `|claim(names)`. What waits on a screen is counted in
   `beton/work/navigating.py`.
4. Keys: `data-item` on what j and k walk over, `data-key="a"` on the visible button or link that a key presses, `data-search` on the search field.
   A wide table lies in `<div class="scroll" tabindex="0" role="region" aria-label="...">`.
5. Its test in `tests/web/pages/` renders it through the TestClient (fixtures `ada`, `reviewer`, `viewer`, ... of `conftest.py`), and its address
   is added to `SCREENS` of `test_in_a_browser.py`, which looks at all of them in both themes and both widths, with axe.

page        what a screen is drawn with
templating  the environment of the templates
figures     how numbers are printed
assets      style and scripts, under the hash of their content
failing     refusals and failures as pages
"""

from litestar import Router
from litestar.di import Provide

from beton.web.pages import (
    api_help,
    assets,
    data,
    decisions,
    home,
    hypotheses,
    page,
    pictures,
    progress,
    reach,
    review,
    route,
    route_kinds,
    routing,
    scoreboard,
    settings,
    signals,
    sources,
    start,
    writing,
)


def pages_router() -> Router:
    """All screens."""
    screens = (
        assets,
        home,
        review,
        hypotheses,
        pictures,
        writing,
        decisions,
        progress,
        signals,
        scoreboard,
        routing,
        route,
        route_kinds,
        reach,
        settings,
        data,
        sources,
        start,
        api_help,
    )
    handlers = [handler for screen in screens for handler in screen.HANDLERS]
    return Router(path="/", route_handlers=handlers, dependencies={"page": Provide(page.page_of, sync_to_thread=False)})
