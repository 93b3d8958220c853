# Every command does its own set-up, needs no network once that is done, and ends in one line that says what happened.
# What they do stands in tests/tools/*.py.

MAKEFLAGS += --no-print-directory --no-builtin-rules
TOOL := python3 tests/tools

# Variables of the commands below.
export SUITES REGISTRY ENVOY PORT PLAIN_PORT METRICS_PORT ADMIN_PORT BLUE_PORT GREEN_PORT EXAMPLE CONCURRENCY FUZZ_ITERATIONS ROUNDS REQUESTS SERIES_REQUESTS GRACE

.PHONY: measure-memory release test-matrix help setup build run test test-rate-limit-full check bench bench-instructions fuzz fmt clean python3 test-series-full check-monitoring check-documents images compose-up compose-test compose-down drain test-audit-full

help: ## this list
	@echo "make COMMAND [VARIABLE=value …]"
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  \1|\2/p' Makefile | while IFS='|' read -r name what; do printf '%-22s %s\n' "$$name" "$$what"; done

python3:
	@command -v python3 >/dev/null || { echo "make: failed: missing: python3; run \`apt-get install python3\`"; exit 1; }

setup: python3 ## fetch what is missing: the Rust toolchain, crates, Envoy (or ENVOY=/path/to/envoy), the wasm test runner
	@$(TOOL)/setup.py

build: python3 ## dist/*.wasm and dist/bin/portcullis
	@$(TOOL)/build.py

run: python3 ## Envoy with envoy/envoy.yaml before two demo upstreams (PORT=10443 …), or EXAMPLE=jwt-tiers
	@$(TOOL)/demo.py

drain: python3 ## stop an Envoy without losing a record: envoy/drain.py (ADMIN_PORT=9901 GRACE=5)
	@python3 envoy/drain.py --admin "127.0.0.1:$${ADMIN_PORT:-9901}" --grace "$${GRACE:-5}"

test: python3 ## everything: formatting, lints, tests natively, in Node, in a host in-process, on a real Envoy, fuzzing
	@$(TOOL)/suite.py

test-rate-limit-full: python3 ## rate-limit's exactness, memory and requests in flight on a real Envoy, with millions of requests
	@$(TOOL)/full.py rate-limit

test-series-full: python3 ## 100 000 hostile requests to a real Envoy make no new series (SERIES_REQUESTS=100000)
	@$(TOOL)/series_full.py

check-monitoring: python3 ## rules, routes, dashboard and runbooks, by themselves and with a watched Envoy under traffic
	@$(TOOL)/monitoring.py

test-audit-full: python3 ## audit-log's delivery and memory on a real Envoy, with two million requests
	@$(TOOL)/full.py audit

check: python3 ## the validator over everything in envoy/
	@$(TOOL)/check.py

check-documents: python3 ## every command, snippet and link of the documents
	@$(TOOL)/documents.py

images: python3 ## the images of the harness; stand-ins where no registry is reachable (IMAGES=auto, official or stand-in)
	@$(TOOL)/images.py

compose-up: python3 ## the harness: Envoy, upstreams, collector, Prometheus, Alertmanager, Redis in Docker (GRAFANA=1)
	@$(TOOL)/compose.py up

compose-test: python3 ## tries the running harness, or one that it starts and ends
	@$(TOOL)/compose.py test

compose-down: python3 ## ends the harness and removes its volumes
	@$(TOOL)/compose.py down

bench: python3 ## CPU per request on real Envoys, into docs/performance.md (ROUNDS=100 REQUESTS=6000)
	@$(TOOL)/bench.py

bench-instructions: python3 ## the same as instructions per request, under callgrind
	@$(TOOL)/bench_instructions.py

fuzz: python3 ## every fuzz target (FUZZ_ITERATIONS=20000)
	@$(TOOL)/fuzz.py

measure-memory: python3 ## memory and start of Envoy with each module, into docs/operations.md
	@$(TOOL)/memory.py

test-matrix: python3 ## every suite on every Envoy from 1.36 on, into docs/hosts.md (SUITES="routes tls")
	@$(TOOL)/matrix.py

release: python3 ## what a release consists of, into dist/release/, built twice and checked (REGISTRY=host/path pushes it)
	@$(TOOL)/release.py

fmt: python3 ## format all Rust code
	@cargo fmt --all && echo "make fmt: ok: formatted" || { echo "make fmt: failed: see above"; exit 1; }

clean: python3 ## remove what was built (what was fetched stays in .tools/)
	@rm -rf target dist .tools/run .tools/build tests/artifacts tests/fuzz/target && echo "make clean: ok: target/, dist/ and test artifacts are gone"
