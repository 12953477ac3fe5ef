"""Adapters that ship with linkd, one package each, under the same contract as everybody's: `linkd.plugin`, `linkd.errors`,
`linkd.limits`."""
