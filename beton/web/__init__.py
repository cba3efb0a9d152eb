"""What answers over HTTP: the API now, the pages beside it later.

access      who may come in: names of this host, operator keys; everything is closed unless it says that it is public
problems    every refusal and failure as `application/problem+json`, with the request's id
probes      the few public addresses: alive, ready, what this is
openapi     the description of the API, generated from its handlers and models
injected    what every handler is handed
api/        the handlers, one module per kind of thing, and the shapes that go in (`bodies`) and out (`resources`)
"""
