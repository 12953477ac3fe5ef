"""For those who test: conformance suites of linkd's contracts, and stand-ins behind its own interfaces. Nothing here runs in production.

For authors of adapters: `adapter_conformance`, whose suites an adapter's own tests inherit. The rest serves linkd's own tests.
May import all of linkd, and pytest where a module is a suite to inherit from; nothing of linkd imports it.
"""
