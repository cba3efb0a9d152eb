"""Pictures of numbers: specified in Python, drawn on the server, the same in light and dark, each with a table that says the same.

    drawing      what a figure is (what draws it, table twin, caption, file), and the axes, marks and letters that all have
    figures      hypotheses beside each other: precision against recall, lift, discovery against confirmation
    curves       what became of fires: lead, weeks, conversion; and what so many calls a week bring
    mosaic       the four cells, to scale: drawn here, without a library
    palette      colours by role; inside pages they are CSS variables, in files the values of a theme
    rendering    a figure to SVG or PNG, remembered by content

Altair and the renderer are heavy: they are imported when the first picture is drawn.
"""
