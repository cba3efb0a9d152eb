"""The kernel: thousands of hypotheses over one log in one pass, equal to the plain evaluator (`backtest.tally`) to the last digit.

    prepared = prepare(log)
    results = evaluate(hypotheses, prepared, threads=2)

The plain evaluator stays the definition and the differential twin; this package only does the same work in compiled loops. What makes it fast:

1. a log is sliced by event name and sorted by (unit, instant), so a hypothesis touches its own slices only, about one row in a hundred;
2. every clause is one sequential pass over its slice that writes a sparse list of intervals (`counting`, `ordering`, `distinct`);
3. conjunctions merge such lists, and one pass over the result gives fires and counts (`overlaps`, `firing`);
4. what hypotheses share is made once: filtered slices, n-th matches, who is asked when, margins of closed tables (`prepared`, `grids`);
5. the compiled loops let go of Python's lock, so that threads work on different hypotheses. Each result is made by one thread from the log
   alone, so it does not depend on the schedule.

Importing `backtest.kernel` itself is cheap; the modules below it load numba (0.4 s), so import them where they are used.
"""
