# `make help` lists the targets that are documented, and so supported.
SHELL = /bin/bash
.SHELLFLAGS = -eu -o pipefail -c
.DEFAULT_GOAL = help
MAKEFLAGS += --no-builtin-rules
# Debian's Python and tools, whatever else the caller has in front of them.
export PATH := /usr/sbin:/usr/bin:/sbin:/bin

VERSION := $(shell sed -n '1s/^vdenet (\(.*\)) .*/\1/p' debian/changelog)
DEB := dist/vdenet_$(VERSION)_all.deb
SOURCES := $(shell find bin debian man src LICENSE pyproject.toml -type f -not -name '*.pyc' 2>/dev/null)

.PHONY: help
help: ## list these targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' Makefile | expand -t 16

.PHONY: deb
deb: dist/vdenet.deb ## build dist/vdenet_VERSION_all.deb, and its copy dist/vdenet.deb

dist/vdenet.deb: $(DEB)
	cp $< $@

# Built in a copy, so that the tree stays as it is.
$(DEB): $(SOURCES)
	@copy=$$(mktemp -d); trap 'rm -rf "$$copy"' EXIT; umask 022
	mkdir "$$copy/vdenet"
	tar -c --exclude=./.git --exclude=./dist --exclude=__pycache__ --exclude='./.*_cache' . | tar -xC "$$copy/vdenet"
	(cd "$$copy/vdenet" && dpkg-buildpackage --build=binary --no-sign)
	mkdir -p dist
	cp "$$copy"/vdenet_*_all.deb dist/

.PHONY: clean
clean: ## remove what building left
	rm -rf dist .mypy_cache .pytest_cache
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

.ONESHELL:
