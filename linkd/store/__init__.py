"""The store: what makes an acknowledged value stay.

    directory/
      format.json               what this directory is (`store.directory`)
      journal/N.journal         the log: every frame, small payloads inside (`store.journal_format`)
      segments/LINK/N.arrow     large payloads, as Arrow IPC streams that any tool reads (`store.segment_format`)
      catalog.db                an index, rebuilt from the journal whenever it does not fit (`store.catalog`)
      staging/                  payloads that wait for their commit; emptied at every start (`store.staging`)

The event loop decides where everything will lie (`journal_layout`, `segment_format`: pure), one thread writes and syncs
it (`committer`), and recovery reads it back (`journal_reader`). All file access goes through `files.Files`, so that a
simulator can stand below. Nothing here knows what records mean, beyond values and schemas; that is `core.ledger`'s. No
network, no protobuf, no pyarrow.
"""
