"""linkd on Kubernetes: patching, webhook, certificates, rendering. Highest layer: nothing imports it."""
