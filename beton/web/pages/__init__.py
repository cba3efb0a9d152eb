"""The screens: server-rendered, with small enhancements on top. Without script they can be read and decided on all the same.

How a screen is made:

1. its read model is a function in `beton/work/` that takes the workplace and returns frozen values, so that the API can tell the same;
2. its module here has Litestar handlers, each with `opt={"needs": Permission.X}` and `include_in_schema=False`, which take
   `page: ThePage` and `place: ThePlace` and end in `page.render("signals/list.html", title="Signals", at="signals", ...)`, or after a change in
   `page.go("/signals", done="...")` (303). A form's fields are a parameter `data: FormFields`, read with `text`, `whole` and `many` of `page`; changes take
   `page.caller.actor`. `page.fragment` says that htmx asks for a part only: then render that part's template. `HANDLERS` lists them,
   and `pages_router` below takes them in;
3. its templates lie in `beton/web/templates/<screen>/`, extend `layout.html` and fill `main`. Links and form targets go through `page.url("/x", a=1)`, files
   through `page.asset("x.svg")`, so that they work under a path prefix. Every POST form has `{{ marks.csrf() }}` (from `parts/marks.html`). Nothing inline:
   no `style=`, no `onclick=`, no `<script>` with a body; the content policy refuses them. Numbers go through the filters of `figures` (`share`, `times`, `count`,
   `rate`, `hours`, `instant`) and `between(low, high, kind)` and link to `/help/numbers#...`; hypotheses through `|claim(names)`;
4. keys: `data-item` on what j and k walk over, `data-key="a"` on the visible button or link that a key presses, `data-search` on the search field;
5. its test in `tests/web/pages/` renders it through the TestClient, and its address is added to `SCREENS` of `test_in_a_browser.py`, which walks
   all of them in both themes and both widths with axe.

page        what a screen is drawn with
templating  the environment of the templates
figures     how numbers are printed
assets      style and scripts, under the hash of their content
failing     refusals and failures as pages
"""

from litestar import Router
from litestar.di import Provide

from beton.web.pages import assets, decisions, home, page, review


def pages_router() -> Router:
    """All screens."""
    handlers = [*assets.HANDLERS, *home.HANDLERS, *review.HANDLERS, *decisions.HANDLERS]
    return Router(path="/", route_handlers=handlers, dependencies={"page": Provide(page.page_of, sync_to_thread=False)})
