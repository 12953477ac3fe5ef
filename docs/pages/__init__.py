"""The pages of the reference, a module each: what is in the code is read from there, and only what nothing else says is written here."""
