"""What adapters see of linkd: the contract (`contract`), column types (`column_types`), rejects (`rejects`), and how adapters are found.

An adapter stands between a link and a technology and knows only this package, `linkd.errors` and `linkd.limits`. It owns no retries, no
metrics, no positions in links and no clients: the worker that drives it does. Nothing here opens a file, a socket or a store.
"""
