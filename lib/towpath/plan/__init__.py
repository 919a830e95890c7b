"""What is to be done: params, runbook, mapping and waivers as validated values, and the plan with its hash."""
