# What a newcomer types, and what the machines run. Each target works from a fresh clone.

CARGO ?= cargo
FUZZ_SECONDS ?= 60

.PHONY: build run test bench lint fuzz peers

build: ## the release binary: target/release/sixgate
	$(CARGO) build --release --locked -p sixgate

run: build ## an ISP, a gateway, a far server and two LANs on this machine; installs nothing
	./target/release/sixgate lab demo

peers: # stock clients, servers and tools that the tests run against
	@tests/install-peers

test: peers ## everything that must hold; needs root, or sudo for the packages
	@if $(CARGO) nextest --version >/dev/null 2>&1; then \
		$(CARGO) nextest run --workspace --locked --no-fail-fast; \
	else \
		$(CARGO) test --workspace --locked --no-fail-fast; \
	fi

bench: build ## figures, as ratios against peers where there are any
	@tests/bench

lint: ## style, lints, licences and advisories of dependencies
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --locked --quiet
	@$(CARGO) deny --version >/dev/null 2>&1 || $(CARGO) install cargo-deny --locked
	$(CARGO) deny --offline check licenses bans sources 2>/dev/null || $(CARGO) deny check licenses bans sources

fuzz: ## every fuzz target for FUZZ_SECONDS each
	fuzz/run.sh $(FUZZ_SECONDS)
