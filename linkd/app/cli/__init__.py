"""The verbs of the command line, a file each, and what they share: options, the terminal, tables.

A verb's module is imported to show the help, so at its top it may import nothing heavy: what works with Arrow, gRPC, DuckDB or rich is
imported inside the verb. Verbs read options, call what does the work, and print; `conclude` turns what they raise into exit codes.
"""
