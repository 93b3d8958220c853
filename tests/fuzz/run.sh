#!/usr/bin/env bash
# Runs every fuzz target for a bounded number of iterations: run.sh ITERATIONS [TARGET …]
#
# It needs no nightly toolchain: libFuzzer comes with a crate, and coverage instrumentation is a pass of LLVM that stable
# rustc runs too. (AddressSanitizer would need nightly; the code under test has no unsafe.) What a target finds is kept
# in tests/fuzz/artifacts/, and `tests/fuzz/target/…/TARGET FILE` runs that one input again.
set -euo pipefail
cd "$(dirname "$0")"

iterations=${1:?usage: run.sh ITERATIONS [TARGET …]}
shift
all=(settings trace_context cookies headers counters exchange errors evidence audit_record)
targets=("${@:-${all[@]}}")

command -v c++ >/dev/null || { echo "missing: c++; run \`apt-get install g++\`" >&2; exit 1; }

triple=$(rustc -vV | sed -n 's/^host: //p')
# With --target, build scripts and procedural macros are built without these flags.
flags=(
    --cfg fuzzing
    -Cpasses=sancov-module
    -Cllvm-args=-sanitizer-coverage-level=4
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters
    -Cllvm-args=-sanitizer-coverage-pc-table
    -Cllvm-args=-sanitizer-coverage-trace-compares
    -Ccodegen-units=1
)
# In CI the lock file says it all; while one works on the filters it follows them.
RUSTFLAGS="${flags[*]}" cargo build ${CI:+--locked} --release --target "$triple" --target-dir target

for target in "${targets[@]}"; do
    echo "--- $target: $iterations iterations"
    mkdir -p "corpus/$target" artifacts
    options=(-runs="$iterations" -max_len=4096 -timeout=10 -print_final_stats=0 -verbosity=1)
    options+=(-artifact_prefix="artifacts/$target-")
    [ -f "dictionaries/$target" ] && options+=(-dict="dictionaries/$target")
    log=artifacts/$target.log
    if ! "target/$triple/release/$target" "${options[@]}" "corpus/$target" "seeds/$target" >"$log" 2>&1; then
        tail -n 60 "$log"
        echo "$target: a finding; its input is in tests/fuzz/artifacts/" >&2
        exit 1
    fi
    grep -E '^INFO: seed corpus|^Done' "$log"
done
