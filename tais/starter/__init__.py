"""What a new user starts from: a manifest, a policy and a CI workflow for one change."""
