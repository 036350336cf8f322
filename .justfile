# Short names for what a developer does often. `verify` only reads, `fix` only writes; CI is `.ci/run`.
set shell := ["bash", "-euo", "pipefail", "-c"]

golden_folder := env("HEADCOUNT_GOLDEN", join(justfile_directory(), "..", "shared", "golden"))

# what there is
default:
    @just --justfile {{ quote(justfile()) }} --list

# everything that must hold, changing nothing
verify:
    cargo fmt --check
    cargo clippy --all-targets -- -D warnings
    cargo test

# format, and take clippy's own corrections
fix:
    cargo clippy --all-targets --fix --allow-dirty --allow-staged
    cargo fmt

# tests by name: `just test`, `just test wire`
test *names:
    cargo test {{ names }}

# recorded Nacos exchanges against a node that runs at `base`
golden base="http://127.0.0.1:8848/nacos":
    python3 {{ quote(join(golden_folder, "replay.py")) }} {{ quote(base) }} {{ quote(golden_folder) }}

# the real Python SDKs against a node of their own
sdk:
    cargo build --release
    python3 tests/sdk/run.py

# benchmarks by name: `just bench`, `just bench list`
bench *names:
    cargo bench {{ names }}
