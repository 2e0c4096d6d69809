# `make help` lists the targets that are documented, and so supported.
SHELL = /bin/bash
.SHELLFLAGS = -eu -o pipefail -c
.ONESHELL:
.DEFAULT_GOAL = help
MAKEFLAGS += --no-builtin-rules

# Debian's Python and tools, whatever else the caller has in front of them.
export PATH := /usr/sbin:/usr/bin:/sbin:/bin

VERSION := $(shell sed -n '1s/^vdenet (\(.*\)) .*/\1/p' debian/changelog)
DEB := dist/vdenet_$(VERSION)_all.deb
SOURCES := $(shell find bin debian man src LICENSE README.md pyproject.toml -type f -not -name '*.pyc' 2>/dev/null)

# What the package depends on, as `apt-get satisfy` wants it.
DEPENDS = $(shell sed -n '/^Depends:/,/^[A-Z]/s/^ \([^$$].*\)/\1/p' debian/control)
TEST_NEEDS = $(shell sed 's/\#.*//' tests/needs)

# The lists of packages are fetched only when apt does not know what it is asked for.
apt-get = apt-get --quiet --yes --no-install-recommends -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0
apt = { $(apt-get) $(1) || { $(apt-get) update && $(apt-get) $(1); }; }

.PHONY: help
help: ## list these targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' Makefile | expand -t 20

.PHONY: up
up: ## as root: build the package, install it, bring the segment up
	@if [ "$$(id -u)" != 0 ]; then echo 'make up: run me as root, or by sudo' >&2; exit 1; fi
	$(MAKE) --no-print-directory build-needs deb
	# Where apt's own account can read it, whatever the permissions on the way here are.
	place=$$(mktemp -d); trap 'rm -rf "$$place"' EXIT; chmod 755 "$$place"
	cp dist/vdenet.deb "$$place/"
	$(call apt,install --reinstall --allow-downgrades "$$place/vdenet.deb")
	# Where policy-rc.d kept the package from starting anything (a container's image), this was asked for.
	tarr-steps list --json >/dev/null 2>&1 || service vdenetd start
	echo
	tarr-steps list
	echo
	echo 'The segment is up, and will be after every boot. From here on no root is needed:'
	printf '  %-48s %s\n' \
	    'adduser NAME vdenet' 'let another user in (you are, if you came by sudo)' \
	    'tarr-steps' 'how things stand, and what to do next' \
	    'tarr-steps check' 'is everything as it ought to be?' \
	    'tarr-steps join qemu -- qemu-system-x86_64 ...' 'a QEMU guest on the segment' \
	    'man tarr-steps' 'the rest'

.PHONY: test
test: ## install what testing needs, run every test that this machine can run
	@if [ "$$(id -u)" = 0 ]; then $(MAKE) --no-print-directory build-needs test-needs
	else echo 'make test: not root, so nothing is installed and only some tests can run' >&2; fi
	$(MAKE) --no-print-directory deb
	VDENET_DEB=$(abspath $(DEB)) /usr/bin/python3 tests/suites.py

.PHONY: test-unit test-net test-netboot test-guests test-hypervisors test-vlans test-emulated test-virtualbox test-system
test-unit: ## the unit and golden tests: they touch nothing
	@/usr/bin/python3 tests/suites.py unit golden
test-net: deb ## switch, DHCP, DNS and packet filter in network namespaces
	@VDENET_DEB=$(abspath $(DEB)) /usr/bin/python3 tests/suites.py net
test-netboot: deb ## QEMU machines boot over the segment by BIOS, iPXE and UEFI
	@VDENET_DEB=$(abspath $(DEB)) /usr/bin/python3 tests/suites.py netboot
test-guests: deb ## QEMU, LXC and VDE guests on one segment
	@VDENET_DEB=$(abspath $(DEB)) /usr/bin/python3 tests/suites.py guests
test-hypervisors: deb ## the real tools of VirtualBox and others join their guests
	@VDENET_DEB=$(abspath $(DEB)) /usr/bin/python3 tests/suites.py hypervisors
test-vlans: deb ## VLANs and Open vSwitch on Debian's own kernel, in an emulated machine
	@VDENET_DEB=$(abspath $(DEB)) /usr/bin/python3 tests/suites.py vlans
test-emulated: deb ## slow: Debian's own kernel, emulated: a whole machine; guests of six hypervisors in VLANs
	@VDENET_DEB=$(abspath $(DEB)) VDENET_TEST_LIMIT=10800 /usr/bin/python3 tests/suites.py emulated
test-virtualbox: deb ## slow: VirtualBox machines that run, in an emulated machine with its kernel modules
	@VDENET_DEB=$(abspath $(DEB)) VDENET_TEST_LIMIT=21600 /usr/bin/python3 tests/suites.py virtualbox
test-system: deb ## install, use, upgrade, remove, purge, with systemd and without
	@VDENET_DEB=$(abspath $(DEB)) /usr/bin/python3 tests/suites.py system

.PHONY: lint
lint: deb ## types, spelling, shell, manual, imports, the package's policy
	@VDENET_DEB=$(abspath $(DEB)) /usr/bin/python3 tests/suites.py lint

.PHONY: sdist-check
sdist-check: deb ## compare with the plain package that stdeb builds from pyproject.toml
	@VDENET_DEB=$(abspath $(DEB)) /usr/bin/python3 -m pytest -p no:cacheprovider tests/packaging/test_plain_package.py

.PHONY: deb
deb: dist/vdenet.deb ## build dist/vdenet_VERSION_all.deb, and its copy dist/vdenet.deb

dist/vdenet.deb: $(DEB)
	@cp $< $@

# Built in a copy, so that the tree stays as it is.
$(DEB): $(SOURCES)
	@copy=$$(mktemp -d); trap 'rm -rf "$$copy"' EXIT; umask 022
	mkdir -p dist "$$copy/vdenet"
	tar -c --exclude=./.git --exclude=./dist --exclude=./tests --exclude=__pycache__ --exclude='./.*_cache' . \
	    | tar -xC "$$copy/vdenet"
	echo "building $(DEB) (dist/build.log)"
	(cd "$$copy/vdenet" && dpkg-buildpackage --build=binary --no-sign) >dist/build.log 2>&1 \
	    || { cat dist/build.log; exit 1; }
	cp "$$copy"/vdenet_*_all.deb dist/
	# Built by root in somebody's clone: still theirs.
	chown -R --reference=Makefile dist

.PHONY: build-needs test-needs
build-needs:
	@$(call apt,build-dep ./)
test-needs:
	@$(call apt,satisfy "$(DEPENDS)")
	$(call apt,install $(TEST_NEEDS))

.PHONY: clean
clean: ## remove what building and testing left
	rm -rf dist .mypy_cache .pytest_cache
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +
