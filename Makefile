# What a newcomer types, and what the machines run. Each target works from a fresh clone.

CARGO ?= cargo
FUZZ_SECONDS ?= 60
# What the kit has beyond its defaults is tested too.
TESTED = --workspace --locked --features sixgate-endpoint/tokio,sixgate-endpoint/clap

.PHONY: build run test bench lint fuzz peers

build: ## the release binary: target/release/sixgate
	$(CARGO) build --release --locked -p sixgate

run: build ## an ISP, a gateway, a far server and two LANs on this machine; installs nothing
	./target/release/sixgate lab demo

peers: # stock clients, servers and tools that the tests run against
	@tests/install-peers

test: peers ## everything that must hold; needs root, or sudo for the packages
	@if $(CARGO) nextest --version >/dev/null 2>&1; then \
		$(CARGO) test $(TESTED) --doc --quiet && \
		$(CARGO) nextest run $(TESTED) --no-fail-fast; \
	else \
		$(CARGO) test $(TESTED) --no-fail-fast; \
	fi

bench: build ## figures, as ratios against peers where there are any
	@tests/bench
	@tests/bench-nat64
	@tests/bench-dns
	@tests/bench-shape
	@tests/bench-dhcp
	$(CARGO) build --release --locked --quiet -p sixgate-linux --example traced
	@tests/bench-wrap
	$(CARGO) bench --locked --quiet -p sixgate-endpoint --features tokio --bench text --bench acl --bench talkers --bench connect
	$(CARGO) bench --locked --quiet -p sixgate-aqm --bench queue
	DISK=target $(CARGO) bench --locked --quiet -p sixgate-store --bench million

lint: ## style, lints, licences and advisories of dependencies
	$(CARGO) fmt --all --check
	$(CARGO) clippy --all-targets $(TESTED) -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --no-deps --quiet $(TESTED)
	@# A gateway's build may leave the audit out.
	$(CARGO) clippy -p sixgate --bins --locked --quiet --no-default-features -- -D warnings
	@# The kit is adopted alone, with as little as its user wants.
	for features in "" net serde tokio clap "net serde tokio clap"; do \
		$(CARGO) clippy -p sixgate-endpoint --all-targets --locked --quiet --no-default-features --features "$$features" \
			-- -D warnings || exit 1; \
	done
	@$(CARGO) deny --version >/dev/null 2>&1 || $(CARGO) install cargo-deny --locked
	$(CARGO) deny --offline check licenses bans sources 2>/dev/null || $(CARGO) deny check licenses bans sources

fuzz: ## every fuzz target for FUZZ_SECONDS each
	fuzz/run.sh $(FUZZ_SECONDS)
