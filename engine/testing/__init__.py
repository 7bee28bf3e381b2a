"""The contract that every attack, defense, network and data source is held to, ours and strangers' alike.

A check is a function of a subject; `engine.testing.checks` says which apply to which. They need no test runner:
`nadtui check NAME` runs them on a person's own thing, and tests/contracts on everything that is registered. All of it
happens in a tiny world of drawn images (`engine.testing.world`).
"""
