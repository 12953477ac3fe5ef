"""What linkd decides, as pure code: events or text in, values and effects out.

Here live the wiring grammar (`wiring`, `policies`, `graph`), the schema of the pipeline file (`document`, `declaration`, `column_types`,
`assembly`) and the model that comes out of it (`pipeline`), and the machines of the home: its ledger, deliveries, flow and retention.

Nothing here may do I/O, read a clock, draw randomness, know an event loop or know protobuf. Time and randomness come in as arguments;
files, sockets and processes belong to `store`, `faces` and `app`. That is what lets a simulator run these machines millions of times.
"""
