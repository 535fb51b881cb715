# Each target is one script in .ci/; options go in ARGS, as in: make run ARGS="--for 60"
.DEFAULT_GOAL := help
.PHONY: help run test check bench bench-full bench-policy bench-quality bench-chat lock clean

help: ## Show this list
	@sed -n 's/^\([a-z-]*\): ## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

run: ## Run the service with the example city, simulated trucks and the fake WeChat server (STORE=postgis: on PostgreSQL)
	@STORE="$(STORE)" .ci/start $(ARGS)

test: ## Run every test (ARGS go to pytest)
	@.ci/test $(ARGS)

check: ## Prove style, types, the import rule, spelling
	@.ci/check

bench: ## Measure the hot path beside other ways of matching, three minutes (ARGS="--only match,step" for some)
	@.ci/bench $(ARGS)

bench-full: ## Measure everything: ten million users, long runs, the whole replay command
	@.ci/bench-full $(ARGS)

bench-policy: ## Live through four city days of ten million users and 100,000 messages a day
	@.ci/bench-policy $(ARGS)

bench-quality: ## Measure how good warnings are: recall, precision, lead (ARGS="--quick" for five seconds)
	@.ci/bench-quality $(ARGS)

bench-chat: ## Measure the callback: a thousand chats, then events a second on one core, four minutes
	@.ci/bench-chat $(ARGS)

lock: ## Pin and hash the requirements again
	@.ci/lock

clean: ## Remove the virtual environment, caches and built packages
	@.ci/clean
