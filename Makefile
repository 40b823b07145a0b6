# Everything that a person needs to know is in README.md.

.PHONY: run test test-postgres test-package deb lint tools chaos rolling fuzz latency screenshots bench

run: ## set up what is missing, build, and run the demonstration
	@scripts/install-tools postgresql
	cargo build --release --locked
	@exec target/release/oncare-live demo

test: tools ## set up what is missing and run everything
	scripts/check-everything

test-postgres: tools ## run what speaks to PostgreSQL, and needs no browser, on each version that is supported
	scripts/check-postgres 13 14 15 16 17 18

test-package: tools ## build cargo-deb's package, and install, start, update and purge it
	@scripts/install-tools lintian
	cargo test --locked --workspace --test it -- --ignored --nocapture package::

deb: ## build the Debian package of the release into target/debian
	scripts/build-deb

# As cargo doc does by itself, but with the crates' features as in the tests (examples would need those), so that no crate is
# checked twice.
documented = --lib --bin floor --bin tutorial --examples

lint: tools
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps --document-private-items --quiet $(documented)
	scripts/check-javascript
	scripts/check-dependencies
	scripts/check-docker

chaos: tools ## break everything again and again, for MINUTES (30), and hold every page against the database
	MINUTES=$(or $(MINUTES),30) cargo test --locked --release --test it -- --ignored --nocapture chaos::for_a_while

attach-rehearsal: ## attach to a million orders beside sixteen writers, and measure how long these wait
	@scripts/install-tools postgresql
	cargo test --locked --release --test it -- --ignored --nocapture rehearsal::

rolling: ## restart two instances behind nginx, under 5,000 streams and 500 updates a second, and measure how late anybody is told
	@scripts/install-tools postgresql nginx
	cargo test --locked --release --test it -- --ignored --nocapture rolling::

fuzz: ## with a nightly compiler and cargo-fuzz, which must be there: each of fuzz/fuzz_targets for MINUTES (5)
	for target in cursor notification django_session; do \
		cargo +nightly fuzz run "$$target" -- -max_total_time=$$((60 * $(or $(MINUTES),5))) || exit 1; \
	done

latency: tools ## measure in Chromium: from commit to DOM, and how long a page takes to open
	cargo test --locked --release --test it -- --ignored --nocapture latency::

screenshots: tools ## take pictures of every page into docs/screenshots
	cargo test --locked --test it -- --ignored --nocapture screenshots

bench: ## measure the service beside its peers, and compare with the targets
	@scripts/install-tools postgresql
	@scripts/install-bench-peers target/bench-peers
	cargo build --release --locked --workspace
	target/release/oncare-bench --plots docs/benchmarks

tools:
	@scripts/install-tools postgresql chromium node faketime nginx caddy haproxy nspawn python prometheus
	@scripts/install-axe
