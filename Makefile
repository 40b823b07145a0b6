# Everything that a person needs to know is in README.md.

.PHONY: run test lint tools latency

run: ## set up what is missing, build, and run the demonstration
	@scripts/install-tools postgresql
	cargo build --release --locked
	@exec target/release/oncare-live demo

test: tools lint ## set up what is missing and run everything
	cargo test --locked

lint: tools
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --document-private-items --quiet
	scripts/check-javascript

latency: tools ## measure from commit to DOM in Chromium
	cargo test --locked --release --test it -- --ignored --nocapture commit_to_dom

tools:
	@scripts/install-tools postgresql chromium node
