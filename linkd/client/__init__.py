"""The Python client: how a program meets its links.

`session` is the asyncio original (public as `linkd.aio`), `sync` the synchronous face over it (public as `linkd`). `discovery` and `launch`
find or start the home, `calls` speaks gRPC and turns its errors into linkd's, `encoding` and `content` are the way between a program's
data and payloads.

This code runs in other people's images: nothing here may import what only the sidecar has, and pyarrow, pandas or polars are imported
when a program asks for them and not before. Importing any module of this package starts nothing.
"""
