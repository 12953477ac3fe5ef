"""The home: the operations on links, once, for every face.

Glue between the pure decisions (`core`), the disk (`store`) and what is measured (`telemetry`). Faces decode, call one of these, and encode.
No protobuf and no sockets here.
"""
