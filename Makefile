# `make demo` and `make test` set up what they need and run. `make help` lists the rest.

SWIFT ?= swift
# Folders with Swift code, for the formatter.
SWIFT_PATHS := Package.swift Sources connectors migrations Tests

.PHONY: help setup build release demo demo-stop test check format bench soak crash sanitize sim clean

help: ## This list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

setup: ## Install what is missing (Debian, apt-get)
	@scripts/setup.sh

build: ## Build for debugging
	$(SWIFT) build --explicit-target-dependency-import-check error

release: ## Build for use
	$(SWIFT) build -c release --product millrace

demo: setup release ## Replicate a live PostgreSQL into another one, kill the server, compare; KEEP=1 leaves it running
	@KEEP=$(KEEP) demo/demo.sh "$$($(SWIFT) build -c release --show-bin-path)/millrace"

demo-stop: ## Stop what `make demo KEEP=1` left running
	@demo/stop.sh

test: setup ## Build and run all tests
	$(SWIFT) build --build-tests --explicit-target-dependency-import-check error
	$(SWIFT) test --skip-build --disable-xctest --skip IntegrationTests --skip '^SimulationTests\.'
	$(SWIFT) test --skip-build --disable-xctest --filter '^SimulationTests\.'
	$(SWIFT) test --skip-build --disable-xctest --filter IntegrationTests

check: setup ## What CI runs: format lint, warnings as errors, import check, all tests
	@SWIFT="$(SWIFT)" SWIFT_PATHS="$(SWIFT_PATHS)" scripts/check.sh

format: ## Format all Swift code in place
	$(SWIFT) format -i -p -r $(SWIFT_PATHS)

bench: setup release ## Compare with native replication, COPY, pg_recvlogical, Debezium; RUNS=, ROWS=, LOAD_ROWS=, ONLY= (stream, load, latency, source, kafka)
	$(SWIFT) build -c release --product MockKafka
	@python3 bench/bench.py --millrace "$$($(SWIFT) build -c release --show-bin-path)/millrace"

soak: setup release ## pgbench with kills, a transaction of ten million rows, 1,000 tables, 20 connectors; MINUTES=n: a bank under random kills
	@python3 bench/soak.py --millrace "$$($(SWIFT) build -c release --show-bin-path)/millrace"

sim: setup ## Simulate source, log, runtime and sinks with faults for SECONDS=60, from a random seed; MILLRACE_SEED= runs one again
	$(SWIFT) build --build-tests
	MILLRACE_SIM_SECONDS=$(or $(SECONDS),60) $(SWIFT) test --skip-build --disable-xctest --filter '^SimulationTests\.SimulationTests/everyRun'

crash: setup release ## Kill the server, and make calls fail, at every n-th system call; SECONDS= (a sample), ONLY=, JOBS=
	@python3 faults/crash.py --millrace "$$($(SWIFT) build -c release --show-bin-path)/millrace" \
		--seconds "$(or $(SECONDS),0)" --only "$(ONLY)" --jobs "$(or $(JOBS),2)"

sanitize: setup ## Unit tests and fuzzers under the address and the thread sanitizer; KIND=address or thread
	@SWIFT="$(SWIFT)" KIND="$(KIND)" scripts/sanitize.sh

clean: ## Remove what was built
	rm -rf .build bench-results
