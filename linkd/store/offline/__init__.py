"""What is done to a store's directory while no home has it open: reading all of it, mending it, copying it, and getting out what is whole.

Nothing here is imported by a running home. What may be known of the files is said at the heads of the modules that own their formats; here is
only what they must be, and what is to be done where they are not.
"""
