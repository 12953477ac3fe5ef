"""The verbs of the command line, a file each (`verbs` has the table of them), and what they share: options, the terminal, tables.

A verb's module is imported when the verb, or its help, is asked for, so at its top it may import nothing heavy: what works with Arrow, gRPC,
DuckDB or rich is imported inside the verb. Verbs read options, call what does the work, and print; `conclude` turns what they raise into exit
codes. A verb that goes on until it is stopped runs under `onlooking.while_read`.
"""
