"""The parts of a plan: for each kind of thing, the changes that it takes. Pure, as `vdenet.model.plan`, which has
their order."""
