"""`linkd run`: the supervisor of a pipeline on one machine.

`plan` decides what is to be done, `processes` starts and ends what runs, `supervisor` drives both against the home, `progress` and `summary`
show it. The supervisor parses no data and moves none: the home, the adapter worker and every task are processes of their own.
"""

from linkd.app.run.supervisor import RunOptions, run

__all__ = ["RunOptions", "run"]
