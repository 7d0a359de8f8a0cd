# The same targets for people and for CI. `make help` lists them.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# Parallel compilations. Some of the dependencies take 1 GB each at the peak.
export JOBS ?= $(shell nproc)
# Cargo profile of run, test and fuzz; bench and deb use their own.
export PROFILE ?= dev
SHIP_PROFILE ?= release
TARGET := $(or $(CARGO_TARGET_DIR),target)
export CARGO_TARGET_DIR := $(abspath $(TARGET))
export STENTOR_TEST_VENV := $(CARGO_TARGET_DIR)/venv

folder = $(CARGO_TARGET_DIR)/$(if $(filter dev,$(1)),debug,$(1))
phase = @printf '\n=== %(%H:%M:%S)T %s\n' -1 '$(1)'
cargo = cargo $(1) --locked -j$(JOBS) --profile $(or $(2),$(PROFILE))

.PHONY: help run format lint test test-deps test-rust test-browser test-spark bench bench-short deb fuzz soak clean

help: ## Show this
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' Makefile | column -t -s '|'

run: ## Install what is missing, build, and start the server with its demo channel
	@.ci/toolchain
	@.ci/packages systemd/packages-build.txt systemd/packages-run.txt
	@$(call cargo,build)
	@exec $(call folder,$(PROFILE))/stentor serve --demo

format: ## Check the format
	@.ci/toolchain fmt
	@cargo fmt --all --check

lint: format ## Check the format, and what clippy finds
	@.ci/toolchain clippy
	@.ci/packages systemd/packages-build.txt
	$(call phase,clippy)
	@$(call cargo,clippy) --workspace --all-targets -- -D warnings

test: test-rust test-browser ## Install what the tests need, and run them all

test-deps:
	@.ci/toolchain
	@.ci/packages systemd/packages-build.txt systemd/packages-run.txt tests/packages.txt
	$(call phase,build)
	@.ci/test-tools fetch & status=0; $(call cargo,test) --workspace --no-run || status=$$?; \
		wait $$! || status=$$?; exit $$status
	$(call phase,test tools)
	@.ci/test-tools build

test-rust: test-deps ## Of the tests, those that cargo runs
	$(call phase,cargo test)
	@tests/lanes $(call cargo,test) --workspace --no-fail-fast

test-browser: test-deps ## Of the tests, those that drive the page with Chromium and Firefox
	$(call phase,browsers)
	@cd tests/browser && STENTOR_BIN=$(call folder,$(PROFILE)) npm test --silent

test-spark: ## Read dumps of events, in a folder and in a bucket, with Apache Spark: installs it (500 MB, over a minute)
	@.ci/toolchain
	@[[ -x $(CARGO_TARGET_DIR)/venv-spark/bin/pip ]] || python3 -m venv $(CARGO_TARGET_DIR)/venv-spark
	@$(CARGO_TARGET_DIR)/venv-spark/bin/pip install --quiet --disable-pip-version-check pyspark==4.3.0
	@mvn --quiet --batch-mode -f tests/spark/pom.xml dependency:copy-dependencies \
		-DincludeScope=runtime -DoutputDirectory=$(CARGO_TARGET_DIR)/venv-spark/s3a
	@.ci/test-tools build
	@STENTOR_TEST_VENV=$(CARGO_TARGET_DIR)/venv-spark STENTOR_DUMP_READER=spark \
		$(call cargo,test) --workspace --test http -- others_read_the_dump a_dump_in_a_bucket

bench: ## Measure beside Janus, coturn, ffmpeg and the floor: 20 minutes, target/bench/results.json
	@.ci/toolchain
	@.ci/packages systemd/packages-build.txt systemd/packages-run.txt tests/packages.txt
	@.ci/test-tools fetch
	@.ci/test-tools build
	@$(call cargo,build,$(SHIP_PROFILE)) --bins --examples
	@benches/run --profile $(SHIP_PROFILE)

bench-short: test-deps ## Show that the benches work; what they measure then means little
	$(call phase,benches)
	@$(call cargo,build) --bins --examples
	@benches/run --short --profile $(PROFILE)

deb: ## Build target/stentor_VERSION_ARCH.deb
	@.ci/toolchain
	@.ci/packages systemd/packages-build.txt
	@$(call cargo,build,$(SHIP_PROFILE))
	@systemd/build-deb $(call folder,$(SHIP_PROFILE)) $(CARGO_TARGET_DIR)

fuzz: ## Fuzz every parser that strangers reach, FUZZ_SECONDS each (60)
	@.ci/toolchain
	@.ci/packages systemd/packages-build.txt
	@tests/fuzz/run $(or $(FUZZ_SECONDS),60)

soak: test-deps ## 1000 joins, 200 publishers: what grows? And 100,000 events to a Kafka that is killed
	@STENTOR_SOAK=long $(call cargo,test) --workspace --test product -- soak kafka --nocapture

clean: ## Remove everything that was built
	@rm -rf "$(CARGO_TARGET_DIR)" tests/browser/node_modules
