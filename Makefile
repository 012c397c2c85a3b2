# Each step says what it does and how long it took. What is built or downloaded goes to target/, .cache/ and ~/.cache/obsctl-lab.

PREFIX ?= /usr/local
DESTDIR ?=
# The modules of tests/it that need no server and no root: `make check` runs these.
QUICK ?= cli:: completions:: docs:: explain:: files:: \
	$(addprefix --skip explain::,around choosing commands connecting deadline sandbox)

export QUICK
STEP := tests/make/step
TOOLS := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/obsctl-lab/tools/bin
TARGET := $(or $(CARGO_TARGET_DIR),target)
LAB := cargo run --quiet -p lab --

.DEFAULT_GOAL := help
.PHONY: help setup check test matrix soak fuzz lint fmt-check clippy deny machete demo demo-down demo-kubernetes bench \
	cluster cluster-down sandbox sandbox-down generate install dist

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 26

setup: ## installs what is missing: Debian packages, lint tools, a real Kubernetes (minutes, once)
	@tests/make/setup all

check: ## the quick part: format, clippy, unit tests, house rules, command line; no root, no servers
	@tests/make/setup rust
	@$(MAKE) --no-print-directory fmt-check clippy
	@tests/make/run quick

test: ## setup, lint and every test, on the real cluster too; ends with `N passed, N failed`
	@tests/make/run all

matrix: ## explain and db with PostgreSQL 14 to 18; the queues with every Celery (5.3 to 5.6) and gevent too
	@tests/make/setup demo
	@OBSCTL_MATRIX=1 tests/make/run matrix

soak: ## five minutes of an ordinary day in fast motion: obsctl may not raise an alarm
	@tests/make/setup demo
	@$(STEP) 'soak: an hour in five minutes' env OBSCTL_SOAK_SECONDS=300 cargo test --quiet -p obsctl --test it soak:: -- --nocapture

fuzz: ## five minutes of libFuzzer for each decoder
	@tests/make/setup fuzz
	@$(STEP) 'fuzz: every decoder' fuzz/run

lint: fmt-check clippy deny machete ## format, clippy, licences and bans, unused dependencies

fmt-check:
	@$(STEP) 'lint: rustfmt' cargo fmt --all --check

clippy:
	@$(STEP) 'lint: clippy' cargo clippy --quiet --locked --workspace --all-targets -- -D warnings

deny:
	@$(STEP) 'lint: cargo-deny (bans, licences, sources)' $(TOOLS)/cargo-deny --locked --log-level error check bans licenses sources

machete:
	@$(STEP) 'lint: cargo-machete (unused dependencies)' $(TOOLS)/cargo-machete .

demo: ## a small real production on this machine, and the question that obsctl answers
	@tests/make/setup demo
	@$(STEP) 'building obsctl' cargo build --quiet
	@$(LAB) demo

demo-down: ## ends the demo's production
	@$(LAB) sandbox down

demo-kubernetes: ## the demo on a real one-node Kubernetes (root)
	@tests/make/setup all
	@$(STEP) 'building obsctl' cargo build --quiet
	@$(LAB) demo kubernetes

bench: ## every promised figure beside the peers, into benches/RESULTS.md (half an hour)
	@tests/make/setup demo
	@$(STEP) 'building obsctl as it is released' cargo build --quiet --release --locked
	@benches/all $(TARGET)/release/obsctl

cluster: ## a real Kubernetes that stays up, and what to put into the shell for it (root)
	@tests/make/setup all
	@$(LAB) cluster up

cluster-down: ## ends it
	@$(LAB) cluster down

sandbox: ## the small production as local processes, that stays up
	@tests/make/setup demo
	@$(LAB) sandbox up

sandbox-down: ## ends it
	@$(LAB) sandbox down

generate: ## writes completions/ and man/ from the command tree
	@$(STEP) 'completions and man pages' env SNAPSHOTS=overwrite cargo test --quiet -p obsctl --test it generated::

install: ## the release build with completions and man pages, below PREFIX
	@$(STEP) 'building obsctl as it is released' cargo build --quiet --release --locked
	install -Dm755 $(TARGET)/release/obsctl $(DESTDIR)$(PREFIX)/bin/obsctl
	install -Dm644 completions/obsctl.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/obsctl
	install -Dm644 completions/_obsctl $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_obsctl
	install -Dm644 completions/obsctl.fish $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/obsctl.fish
	install -d $(DESTDIR)$(PREFIX)/share/man/man1
	install -m644 man/*.1 $(DESTDIR)$(PREFIX)/share/man/man1/
	ln -sf obsctl $(DESTDIR)$(PREFIX)/bin/kubectl-obsctl

dist: ## dist/: a tarball, a .deb, the bill of materials, checksums; each tried (BINARY=… packs that one)
	@$(if $(BINARY),,$(STEP) 'building obsctl as it is released' cargo build --quiet --release --locked)
	@packaging/dist $(or $(BINARY),$(TARGET)/release/obsctl)
