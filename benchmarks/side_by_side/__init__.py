"""linkd and what people would use instead, side by side: entrants take turns in rounds, each with processes of its own, started afresh.

A *scenario* (one file each under `scenarios/`) is what is asked of everybody; an *entrant* is who does it, by a server and by *roles*: the
programs of a producer and of a consumer, written against each system's own client as its users would (`*_roles.py`). Nothing here knows
more of linkd than its public client and its command line.
"""
