# Each target is one script in .ci/; options go in ARGS, as in: make run ARGS="--for 60"
.DEFAULT_GOAL := help
.PHONY: help run test check bench lock clean

help: ## Show this list
	@sed -n 's/^\([a-z]*\): ## /\1\t/p' $(MAKEFILE_LIST) | expand -t 8

run: ## Run the service with the example city, simulated trucks and the fake WeChat server
	@.ci/start $(ARGS)

test: ## Run every test (ARGS go to pytest)
	@.ci/test $(ARGS)

check: ## Prove style, types, the import rule, spelling
	@.ci/check

bench: ## Measure the throughput beside what one would write by hand
	@.ci/bench $(ARGS)

lock: ## Pin and hash the requirements again
	@.ci/lock

clean: ## Remove the virtual environment, caches and built packages
	@.ci/clean
