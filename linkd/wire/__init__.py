"""The only place that knows protobuf: generated code, the table of methods, and the way between messages and the model.

Nothing here does I/O. `v1` and `store_v1` are generated from `proto/` (see `proto/generate.py`).
"""
