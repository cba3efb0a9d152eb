"""Pictures of numbers: specified in Python, drawn on the server, the same in light and dark, each with a table that says the same.

    figures      what is drawn: from points with intervals to a Figure (specification, table twin, caption)
    palette      colours by role; on pages they are CSS variables, in files the light values
    rendering    a Figure to SVG or PNG, remembered by content

Altair and the renderer are heavy: they are imported when the first picture is asked for.
"""
