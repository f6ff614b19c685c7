# Relais: build, run, test. `make` lists the targets.

.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-print-directory

export CARGO_TERM_COLOR ?= never
TARGET := $(or $(CARGO_TARGET_DIR),$(CURDIR)/target)
RUN_DIR := $(TARGET)/run

.PHONY: help ui build run demo deb check-deb test soak check-all bench pictures fmt clean-run

help: ## list the targets
	@echo 'make TARGET, where TARGET is one of:'
	@grep -hE '^[a-z-]+:.*## ' $(firstword $(MAKEFILE_LIST)) | sed -E 's/^([a-z-]+):.*## /\1\t/' | awk -F'\t' '{printf "  %-10s %s\n", $$1, $$2}'

ui: ## build the technician's page into hub-ui/web/dist (needs Node.js)
	@hub-ui/web/scripts/build.sh

build: ui ## build the release binaries: target/release/relais-hub, relais-central, relais; target/agent/relais-agent
	cargo build --release --locked --package hub --package northbound-central --package northbound-cli
	cargo build --profile agent --locked --package device-agent

run: build ## start a hub on its built-in defaults; data in target/run
	@mkdir -p $(RUN_DIR)
	@tests/scripts/try-next.sh $(TARGET)/release/relais-hub $(RUN_DIR)
	@exec env RELAIS__STORAGE__DIR=$(RUN_DIR)/data RELAIS__SOCKET__PATH=$(RUN_DIR)/hub.sock \
		$(TARGET)/release/relais-hub run

demo: ## run a whole simulated site with its page; DEMO_KEEP=1 keeps data, DEMO_PROFILE=debug builds faster
	@exec env DEMO_KEEP='$(DEMO_KEEP)' DEMO_PROFILE='$(DEMO_PROFILE)' tests/scripts/demo.sh

deb: build ## build the Debian packages into target/deb (as root it installs debhelper when missing)
	cargo build --release --locked --package packaging-manual
	@packaging/build-deb.sh

check-deb: deb ## install, use, upgrade, remove and purge the packages in a booted Debian 12 of its own (as root)
	@tests/scripts/check_deb.sh

test: ## everything a change must pass, in under 45 minutes on 2 cores
	@tests/scripts/test.sh

soak: ## the long counts: 200 kills, many seeds of crashes and of sync, long fuzzing (about two hours)
	@tests/scripts/soak.sh

check-all: ## everything there is: test, bench and soak
	@tests/scripts/test.sh
	@tests/scripts/bench.sh
	@tests/scripts/soak.sh

bench: ## measure against references: figure, ours, reference, ratio, budget
	@tests/scripts/bench.sh

pictures: ui ## take the pictures of docs/pictures anew: every page, 390, 820 and 1280 px, light and dark
	@tests/scripts/prepare.sh
	RELAIS_PICTURES=$(CURDIR)/docs/pictures cargo test --locked --package site-tests --test the_page

fmt: ## format the Rust code
	cargo fmt --all

clean-run: ## delete what `make run`, `make demo` and broken-off tests left behind
	@! mountpoint -q $(TARGET)/demo/disk || umount $(TARGET)/demo/disk
	rm -rf $(RUN_DIR) $(TARGET)/tmp $(TARGET)/demo
