# `make demo` and `make test` do everything on a fresh machine. The rest are parts.

# Guests are built by a cargo of their own, with what tools/setup-guests found.
TOOLS := $(or $(POSIX_IPC_TOOLS),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/posix-ipc/tools)
GUEST_TARGET := $(CURDIR)/target/guests
WITH_GUEST_TOOLS := . $(TOOLS)/env.sh && export RUSTC="$${POSIX_IPC_GUEST_RUSTC:-rustc}" &&
GUEST_CARGO := --release --target wasm32-wasip2 --target-dir $(GUEST_TARGET)
# Guests with atomics in windows.
WITH_ATOMICS := CARGO_TARGET_WASM32_WASIP2_RUSTFLAGS="-C target-feature=+atomics"
ATOMICS_CARGO := --release --target wasm32-wasip2 --target-dir $(GUEST_TARGET)-atomics

.PHONY: demo test check deny guests runtimes relay engines bench install setup setup-rust bindings clean

demo: setup-rust ## A sandboxed guest and a native program over all three kinds
	cargo build --bin posix-ipc
	$(WITH_GUEST_TOOLS) cargo build $(GUEST_CARGO) --manifest-path guest-examples/conversation/rust/Cargo.toml
	POSIX_IPC=$(CURDIR)/target/debug/posix-ipc \
	GUEST=$(GUEST_TARGET)/wasm32-wasip2/release/conversation.wasm \
	guest-examples/conversation/run

test: setup check guests runtimes engines ## Every check and every test, with nothing skipped
	POSIX_IPC_REQUIRE_GUESTS=1 cargo test

check: deny ## Formatting, lints, documentation, bindings, dependencies
	cargo fmt --check
	cargo clippy --all-targets -- -D warnings
	cargo check --no-default-features --lib
	RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --lib
	cargo test --manifest-path guest-sdk/bindings/Cargo.toml --target-dir target/bindings
	cargo test --manifest-path guest-sdk/rust/Cargo.toml --all-features --target-dir target/sdk

# What is shipped. The database of advisories is the only thing that is not in the crates.
DENIED := Cargo.toml guest-sdk/rust/Cargo.toml guest-sdk/componentize/Cargo.toml
deny: ## Licences, sources, duplicates and known advisories of the dependencies
	@if [ -r $(TOOLS)/env.sh ]; then . $(TOOLS)/env.sh; fi; \
	deny=$${POSIX_IPC_CARGO_DENY:-$$(command -v cargo-deny)} || \
		{ echo "SKIPPED: no cargo-deny; run tools/setup-guests deny"; exit 0; }; \
	checks="bans licenses sources"; \
	if timeout 120 "$$deny" fetch db; then checks="advisories $$checks"; \
	else echo "SKIPPED: advisories, the database of which cannot be fetched"; fi; \
	for manifest in $(DENIED); do \
		"$$deny" --config deny.toml --manifest-path $$manifest check -A unmatched-skip \
			-A unnecessary-skip -A license-exception-not-encountered $$checks || exit 1; \
	done

guests: setup ## The guests of the tests and examples
	$(WITH_GUEST_TOOLS) cargo build $(GUEST_CARGO) --manifest-path guest-examples/conversation/rust/Cargo.toml
	$(WITH_GUEST_TOOLS) cargo build $(GUEST_CARGO) --manifest-path tests/guest/Cargo.toml
	$(WITH_GUEST_TOOLS) $(WITH_ATOMICS) cargo build $(ATOMICS_CARGO) --manifest-path tests/windows/guest/Cargo.toml
	$(MAKE) relay

# The C library goes to $(GUEST_TARGET)/c, where guest-sdk/c/posix-ipc-cc looks for it.
relay: setup ## The example relay, in its compiled languages
	mkdir -p $(GUEST_TARGET)/relay
	guest-sdk/c/posix-ipc-cc -O2 guest-examples/relay/c/relay.c -o $(GUEST_TARGET)/relay/c.wasm
	guest-sdk/go/posix-ipc-go build -o $(GUEST_TARGET)/relay/go.wasm guest-examples/relay/go
	$(WITH_GUEST_TOOLS) cargo build $(GUEST_CARGO) --manifest-path guest-examples/relay/rust/Cargo.toml

# Where the posix-ipc of this tree looks for them.
runtimes: setup target/runtimes/python.wasm target/runtimes/js.wasm ## The components that run scripts

WIT := $(shell find wit guest-sdk/wit -type f)

target/runtimes/python.wasm: $(WIT) $(shell find guest-sdk/python/src guest-sdk/python/runtime guest-sdk/python/build-runtime -type f)
	guest-sdk/python/build-runtime $@

target/runtimes/js.wasm: $(shell find guest-sdk/js guest-sdk/rust -path '*/target' -prune -o -type f -print)
	guest-sdk/js/build-runtime $@

engines: ## Windows on engines that cannot have them: builds another wasmtime
	cargo test --manifest-path tests/engines/Cargo.toml --target-dir target/engines

bench: setup ## Guests, native programs and Python side by side; BENCH="--json FILE --svg FILE"
	$(WITH_GUEST_TOOLS) $(WITH_ATOMICS) cargo build $(ATOMICS_CARGO) --manifest-path benches/guest/Cargo.toml
	. $(TOOLS)/env.sh && POSIX_IPC_BENCH_PYTHON="$${POSIX_IPC_BENCH_PYTHON:-$$POSIX_IPC_PEER_PYTHON}" \
	cargo bench --bench ipc -- $(BENCH)

PREFIX ?= /usr/local

install: runtimes ## The command and what runs scripts, to PREFIX (/usr/local)
	cargo build --release --bin posix-ipc
	install -D -t $(DESTDIR)$(PREFIX)/bin target/release/posix-ipc
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/posix-ipc/runtimes target/runtimes/*.wasm

setup: ## The tool chains for guests
	tools/setup-guests

setup-rust:
	tools/setup-guests rust

bindings: ## The committed guest bindings, from wit/
	UPDATE_BINDINGS=1 cargo test --manifest-path guest-sdk/bindings/Cargo.toml --target-dir target/bindings

clean:
	cargo clean
