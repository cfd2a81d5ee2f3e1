# `make demo` and `make test` do everything on a fresh machine. The rest are parts.
.DEFAULT_GOAL := help

# Guests are built by a cargo of their own, with what tools/setup-guests found.
TOOLS := $(or $(POSIX_IPC_TOOLS),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/posix-ipc/tools)
GUEST_TARGET := $(CURDIR)/target/guests
WITH_GUEST_TOOLS := . $(TOOLS)/env.sh && export RUSTC="$${POSIX_IPC_GUEST_RUSTC:-rustc}" &&
GUEST_CARGO := --release --target wasm32-wasip2 --target-dir $(GUEST_TARGET)
# Guests with atomics in mappings.
WITH_ATOMICS := CARGO_TARGET_WASM32_WASIP2_RUSTFLAGS="-C target-feature=+atomics"
ATOMICS_CARGO := --release --target wasm32-wasip2 --target-dir $(GUEST_TARGET)-atomics
# What is not a guest itself, but of their side.
SDK_CARGO := --target-dir $(CURDIR)/target/sdk

# Each cargo takes all processors for itself.
.NOTPARALLEL:
.PHONY: help demo test check packages deny guests runtimes relay engines faults kills bench docs install setup bindings api clean

help: ## What can be made
	@sed -n 's/^\([a-z%-]*\):.*## /\1\t/p' Makefile | sort | while IFS="$$(printf '\t')" read -r goal what; do \
		printf '  make %-10s %s\n' "$$goal" "$$what"; done

demo: setup-rust ## A sandboxed guest and a native program over all three kinds
	@test -e target/debug/posix-ipc || echo "Building posix-ipc: 270 crates, about four minutes on two cores, once."
	cargo build --bin posix-ipc
	$(WITH_GUEST_TOOLS) cargo build $(GUEST_CARGO) --manifest-path guest-examples/conversation/rust/Cargo.toml
	POSIX_IPC=$(CURDIR)/target/debug/posix-ipc \
	GUEST=$(GUEST_TARGET)/wasm32-wasip2/release/conversation.wasm \
	guest-examples/conversation/run

test: setup check guests runtimes ## Every check and every test, with nothing skipped
	@echo "Building and running the tests, most of the time that this takes."
	cargo test --workspace

check: deny packages ## Formatting, lints, documentation, bindings, dependencies
	cargo fmt --check
	cargo clippy --workspace --all-targets -- -D warnings
	cargo clippy --no-default-features --lib -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --lib
	tools/public-api/run
	cargo test --manifest-path guest-sdk/bindings/Cargo.toml $(SDK_CARGO)
	cargo test --manifest-path guest-sdk/rust/Cargo.toml --all-features $(SDK_CARGO)

# What is beside the crate: the SDKs, examples and guests. They are linted as built for
# this machine, which takes no tool chain for guests. What has a wasmtime is not linted: it
# would be built once more.
PACKAGES := $(shell find benches fuzz guest-examples guest-sdk tests tools -name target -prune -o -name Cargo.toml -print 2>/dev/null)
WITH_WASMTIME := $(shell grep -lsE '^(wasmtime|wasmtime-posix-ipc)\b' $(PACKAGES))
packages: ## Formatting and lints of the packages beside the crate
	for manifest in $(PACKAGES); do cargo fmt --check --manifest-path $$manifest || exit 1; done
	for manifest in $(filter-out $(WITH_WASMTIME),$(PACKAGES)); do \
		cargo clippy --quiet --all-targets --all-features --manifest-path $$manifest $(SDK_CARGO) \
			-- -D warnings || exit 1; \
	done

# What is shipped. The database of advisories is the only thing that is not in the crates.
DENIED := Cargo.toml guest-sdk/rust/Cargo.toml guest-sdk/componentize/Cargo.toml guest-sdk/bulk-memory/Cargo.toml
deny: ## Licences, sources, duplicates and known advisories of the dependencies
	@if [ -r $(TOOLS)/env.sh ]; then . $(TOOLS)/env.sh; fi; \
	deny=$${POSIX_IPC_CARGO_DENY:-$$(command -v cargo-deny)} || \
		{ echo "deny: there is no cargo-deny; run tools/setup-guests deny" >&2; exit 1; }; \
	checks="bans licenses sources"; \
	if timeout 120 "$$deny" fetch db; then checks="advisories $$checks"; \
	else echo "deny: advisories were NOT checked: their database cannot be fetched"; fi; \
	for manifest in $(DENIED); do \
		"$$deny" --config deny.toml --manifest-path $$manifest check -A unmatched-skip \
			-A unnecessary-skip -A license-exception-not-encountered $$checks || exit 1; \
	done

# `make test` runs a sample of both.
faults: guests ## Every system call of a host fails once, with every error
	POSIX_IPC_FAULTS=all cargo test --test ipc -- --nocapture faults::injected

kills: guests ## Ten thousand hosts are killed, each at some system call
	POSIX_IPC_KILLS=10000 cargo test --test ipc -- --nocapture faults::kills

guests: setup-rust relay ## The guests of the tests and examples
	$(WITH_GUEST_TOOLS) cargo build $(GUEST_CARGO) --manifest-path guest-examples/conversation/rust/Cargo.toml
	$(WITH_GUEST_TOOLS) cargo build $(GUEST_CARGO) --manifest-path tests/guest/Cargo.toml
	$(WITH_GUEST_TOOLS) $(WITH_ATOMICS) cargo build $(ATOMICS_CARGO) --manifest-path tests/mappings/guest/Cargo.toml

# The C library goes to $(GUEST_TARGET)/c, where guest-sdk/c/posix-ipc-cc looks for it.
relay: setup-c setup-go setup-rust ## The example relay, in its compiled languages
	mkdir -p $(GUEST_TARGET)/relay
	guest-sdk/c/posix-ipc-cc -O2 guest-examples/relay/c/relay.c -o $(GUEST_TARGET)/relay/c.wasm
	guest-sdk/go/posix-ipc-go build -o $(GUEST_TARGET)/relay/go.wasm guest-examples/relay/go
	$(WITH_GUEST_TOOLS) cargo build $(GUEST_CARGO) --manifest-path guest-examples/relay/rust/Cargo.toml

# Where the posix-ipc of this tree looks for them.
runtimes: setup-python setup-js target/runtimes/python.wasm target/runtimes/js.wasm ## The components that run scripts

WIT := $(shell find wit guest-sdk/wit -type f)

target/runtimes/python.wasm: $(WIT) $(shell find guest-sdk/python/src guest-sdk/python/runtime guest-sdk/python/native guest-sdk/python/build-runtime guest-sdk/bulk-memory/src -type f)
	guest-sdk/python/build-runtime $@

target/runtimes/js.wasm: $(shell find guest-sdk/js guest-sdk/rust guest-sdk/bulk-memory/src -path '*/target' -prune -o -type f -print)
	guest-sdk/js/build-runtime $@

engines: ## Mappings on engines that cannot have them
	cargo test --workspace --test unfit

bench: setup target/runtimes/python.wasm target/runtimes/js.wasm ## Guests in each language beside native programs; BENCH="--json FILE --svg FILE --check"
	mkdir -p $(GUEST_TARGET)/bench
	cc -O2 -pthread benches/c.c -o $(GUEST_TARGET)/bench/c -lrt
	guest-sdk/c/posix-ipc-cc -O2 benches/c.c -o $(GUEST_TARGET)/bench/c.wasm
	guest-sdk/go/posix-ipc-go build -tags direct -o $(GUEST_TARGET)/bench/go.wasm benches/go
	$(WITH_GUEST_TOOLS) $(WITH_ATOMICS) cargo build $(ATOMICS_CARGO) --manifest-path benches/guest/Cargo.toml
	. $(TOOLS)/env.sh && POSIX_IPC_BENCH_PYTHON="$${POSIX_IPC_BENCH_PYTHON:-$$POSIX_IPC_PEER_PYTHON}" \
	cargo bench --bench ipc -- $(BENCH)

docs: ## The pages as a site in target/docs, its links checked; the reference in target/doc
	tools/build-docs
	RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --lib

PREFIX ?= /usr/local

install: runtimes ## The command and what runs scripts, to PREFIX (/usr/local)
	cargo build --release --bin posix-ipc
	install -D -t $(DESTDIR)$(PREFIX)/bin target/release/posix-ipc
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/posix-ipc/runtimes target/runtimes/*.wasm

setup: ## The tool chains for guests
	tools/setup-guests

setup-%: ## One of them, as setup-c; tools/setup-guests says which there are
	tools/setup-guests $*

api: ## The committed list of the library's public items, docs/public-api.txt
	tools/public-api/run --update

bindings: ## The committed guest bindings, from wit/
	UPDATE_BINDINGS=1 cargo test --manifest-path guest-sdk/bindings/Cargo.toml $(SDK_CARGO)

clean:
	cargo clean
