# Every command does its own set-up, needs no network once that is done, and ends in one line that says what happened.
# What they do stands in tests/tools/*.py.

MAKEFLAGS += --no-print-directory --no-builtin-rules
TOOL := python3 tests/tools

# Variables of the commands below.
export ENVOY PORT ADMIN_PORT UPSTREAM_PORT GRACE CONCURRENCY FUZZ_ITERATIONS ROUNDS REQUESTS

.PHONY: help setup build run drain test test-audit-full test-rate-limit-full check bench bench-instructions fuzz fmt clean python3

help: ## this list
	@echo "make COMMAND [VARIABLE=value …]"
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  \1|\2/p' Makefile | while IFS='|' read -r name what; do printf '%-22s %s\n' "$$name" "$$what"; done

python3:
	@command -v python3 >/dev/null || { echo "make: failed: missing: python3; run \`apt-get install python3\`"; exit 1; }

setup: python3 ## fetch what is missing: the Rust toolchain, crates, Envoy (or ENVOY=/path/to/envoy), the wasm test runner
	@$(TOOL)/setup.py

build: python3 ## dist/*.wasm and dist/bin/portcullis
	@$(TOOL)/build.py

run: python3 ## Envoy with envoy/envoy.yaml before a demo upstream (PORT=10000 ADMIN_PORT=9901 UPSTREAM_PORT=10001)
	@$(TOOL)/demo.py

drain: python3 ## stop an Envoy without losing a record: envoy/drain.py (ADMIN_PORT=9901 GRACE=5)
	@python3 envoy/drain.py --admin "127.0.0.1:$${ADMIN_PORT:-9901}" --grace "$${GRACE:-5}"

test: python3 ## everything: formatting, lints, tests natively, in Node, in a host in-process, on a real Envoy, fuzzing
	@$(TOOL)/suite.py

test-rate-limit-full: python3 ## rate-limit's exactness, memory and requests in flight on a real Envoy, with millions of requests
	@$(TOOL)/rate_limit_full.py

test-audit-full: python3 ## audit-log's delivery and memory on a real Envoy, with two million requests
	@$(TOOL)/audit_full.py

check: python3 ## the validator over everything in envoy/
	@$(TOOL)/check.py

bench: python3 ## CPU per request on real Envoys, into docs/performance.md (ROUNDS=100 REQUESTS=6000)
	@$(TOOL)/bench.py

bench-instructions: python3 ## the same as instructions per request, under callgrind
	@$(TOOL)/bench_instructions.py

fuzz: python3 ## every fuzz target (FUZZ_ITERATIONS=20000)
	@$(TOOL)/fuzz.py

fmt: python3 ## format all Rust code
	@cargo fmt --all && echo "make fmt: ok: formatted" || { echo "make fmt: failed: see above"; exit 1; }

clean: python3 ## remove what was built (what was fetched stays in .tools/)
	@rm -rf target dist .tools/run .tools/build tests/artifacts tests/fuzz/target && echo "make clean: ok: target/, dist/ and test artifacts are gone"
