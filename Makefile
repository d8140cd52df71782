# Builds, tests and installs everything, without any knowledge of Rust. `make help` lists the targets.

CARGO ?= cargo
CARGOFLAGS ?= --locked
CFLAGS ?= -O2 -g -Wall -Wextra
PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include

# The version is defined only in Cargo.toml. While it is 0.x, each minor version may break the ABI, so the SONAME contains it.
VERSION := $(shell sed -n '/^\[package\]/,/^\[/s/^version *= *"\(.*\)"/\1/p' Cargo.toml)
words := $(subst ., ,$(VERSION))
ABI := $(word 1,$(words))$(if $(filter 0,$(word 1,$(words))),.$(word 2,$(words)))

TARGET := $(or $(CARGO_TARGET_DIR),target)
STATIC := $(TARGET)/release/libdocker_store.a
SHARED := $(TARGET)/release/libdocker_store.so
DSTORE := $(TARGET)/release/dstore
MADE := $(TARGET)/dstore
# The shared library that is installed: the same, with symbol versions if the system supports them.
VERSIONED := $(TARGET)/release/versioned/libdocker_store.so
# System libraries that a program linked against the static library needs. The unwinder is the one that `cc -static` also has.
STATIC_LIBS := -lgcc_eh -lutil -lrt -lpthread -lm -ldl -lc

BUSYBOX := target/base/busybox.tar
USERLAND := target/base/userland.tar
ZLIB := target/base/zlib
ENGINE := scripts/engine run --

.PHONY: abi regenerate build library cli install-library install-cli help demo demo-real examples python test test-ocaml test-python test-quick test-engines test-windows demo-static miri test-real header msrv lint bench bench-quick bench-caches install uninstall clean toolchain

build: library
	@echo
	@echo 'Built:  $(STATIC)'
	@echo '        $(SHARED)'
	@echo '        include/docker_store.h'
	@echo 'Next:   make demo     see it work (starts a Docker engine if none runs)'
	@echo '        make install  PREFIX=$(PREFIX)'
	@echo '        make cli      dstore, a command that shows the contents of a store'
	@echo '        make help     all targets'

library: toolchain
	$(CARGO) build --release $(CARGOFLAGS)
	@$(MAKE) --no-print-directory -s $(VERSIONED)

# rustc passes its own version script for a shared library, and linkers do not accept a second one with named versions. So the
# shared library is linked again, from the static one. Programs that were linked without versions also run with it.
ifeq ($(shell uname -s),Linux)
$(VERSIONED): $(STATIC) abi/symbols.txt Makefile
	@# Several processes may do this concurrently: for example, tests that install.
	mkdir -p $(@D) && work=$$(mktemp -d $(@D)/new-XXXXXX) && trap 'rm -rf "$$work"' EXIT && \
	{ echo 'DOCKER_STORE_$(ABI) { global:'; sed 's/$$/;/' abi/symbols.txt; echo 'local: *; };'; } >"$$work/map" && \
	sed 's/.*/-Wl,-u,&/' abi/symbols.txt >"$$work/wanted" && \
	$(CC) -shared -o "$$work/library" -Wl,-soname,libdocker_store.so.$(ABI) -Wl,--version-script="$$work/map" @"$$work/wanted" \
	    -Wl,--gc-sections,--as-needed,--strip-debug,-z,relro,-z,now,-z,noexecstack $(STATIC) -lgcc_s -lm -lpthread -ldl -lc && \
	mv "$$work/library" $@
else
$(VERSIONED): $(SHARED)
	mkdir -p $(@D)
	cp $(SHARED) $@
endif

# Also generates completions and man pages. dstore has dependencies that the library does not have, so it is built only on
# request.
cli: toolchain
	$(CARGO) build --release $(CARGOFLAGS) --package dstore
	rm -rf '$(MADE)'
	$(DSTORE) generate '$(MADE)'

help:
	@echo 'make             build the library, shared and static (docker-store $(VERSION))'
	@echo 'make cli         build dstore, a command that shows the contents of a store (docs/dstore.md)'
	@echo 'make demo        a C program builds a chain of steps; a second run finds every step built'
	@echo 'make demo-real   a C program compiles a real C project in containers, with a compiler cache'
	@echo 'make examples    compile examples/c into $(TARGET)/c'
	@echo 'make test        all tests; an engine is started if none answers'
	@echo 'make test-ocaml  only the tests of the OCaml bindings (installs OCaml if it can)'
	@echo 'make python      the Python package as a wheel, with the library in it (bindings/python)'
	@echo 'make test-python  its tests, and examples/go if Go is installed (installs packages from PyPI under $(TARGET))'
	@echo 'make test-engines  the tests on Docker 20.10 to 28.5 and Podman 4.3 to 5.8, as a table (root, Debian; an hour)'
	@echo 'make test-windows  the library for Windows, under Wine (Debian, rustup)'
	@echo 'make demo-static   make demo, as a static program (musl)'
	@echo 'make test-quick  the tests that need no engine'
	@echo 'make miri        the tests of the C boundary under miri (needs nightly Rust with miri)'
	@echo 'make test-real   the test that compiles a real C project (some minutes)'
	@echo 'make lint        formatting, lints, and what dependencies may be (deny.toml)'
	@echo 'make msrv        check that the oldest supported Rust builds it (root, Debian)'
	@echo 'make regenerate  rewrite all generated files: make header, make abi'
	@echo 'make header      generate include/docker_store.h, docs/c-api.md and the Python declarations'
	@echo 'make abi         generate abi/: the symbols and the numbers'
	@echo 'make bench       compare with other clients: docs/benchmarks.md and plots (half an hour)'
	@echo 'make bench-quick the same in two minutes; make bench-caches: only the tables of caches (ten minutes)'
	@echo 'make install     install into PREFIX=$(PREFIX), under DESTDIR if set; make uninstall removes it'
	@echo 'make clean       remove the build products (not what is on the engine)'
	@echo
	@echo 'A running engine is used (DOCKER_HOST, docker context, /var/run/docker.sock); see scripts/engine.'

toolchain:
	@command -v $(CARGO) >/dev/null || { echo 'make: $(CARGO) is not on PATH. Install Rust (with rustup, or the packages cargo and rustc); under sudo, keep your PATH: sudo env PATH="$$PATH" make' >&2; exit 1; }

# ---------------------------------------------------------------- demos

demo: $(TARGET)/c/demo $(BUSYBOX)
	$(ENGINE) $(TARGET)/c/demo target/demo-store $(BUSYBOX)

demo-real: $(TARGET)/c/demo_real $(USERLAND) $(ZLIB)
	$(ENGINE) $(TARGET)/c/demo_real target/demo-store $(USERLAND) $(ZLIB) target/demo-real

examples: $(patsubst examples/c/%.c,$(TARGET)/c/%,$(wildcard examples/c/*.c))

# Linked each time, because only cargo knows whether the library has changed.
$(TARGET)/c/%: examples/c/%.c include/docker_store.h library
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -pthread -Iinclude -o $@ $< $(STATIC) $(STATIC_LIBS)

$(BUSYBOX):
	scripts/base busybox $@

$(USERLAND):
	scripts/base userland $@

$(ZLIB):
	scripts/base source zlib $@

# ---------------------------------------------------------------- tests

# Which tests, as cargo takes them: make test TESTS='--test steps'.
TESTS ?= --workspace

# The tests of the C ABI link both libraries, as C programs do. Most tests wait for the engine, so there are more threads than
# processors.
test: library $(BUSYBOX)
	scripts/need valgrind strace cmake pkg-config g++ git sqlite3 skopeo docker-registry
	$(CARGO) build $(CARGOFLAGS) --workspace
	RUST_TEST_THREADS=$${RUST_TEST_THREADS:-4} DOCKER_STORE_TEST_BASE='$(abspath $(BUSYBOX))' \
	$(ENGINE) sh -c '$(CARGO) test $(CARGOFLAGS) $(TESTS) --no-fail-fast && scripts/ocaml $(TARGET)/release'

# Installs OCaml from Debian's packages if it can.
test-ocaml: library $(BUSYBOX)
	DOCKER_STORE_TEST_BASE='$(abspath $(BUSYBOX))' $(ENGINE) scripts/ocaml $(TARGET)/release

# Not a part of `make test`, which already takes long; .ci/run runs it.
test-python: library $(BUSYBOX)
	DOCKER_STORE_TEST_BASE='$(abspath $(BUSYBOX))' $(ENGINE) sh -c 'scripts/python test $(TARGET)/release && scripts/go $(TARGET)/release'

# ENGINES="…" and SUITES="…" select engines and suites; see scripts/test-engines.
test-engines: toolchain
	CARGO='$(CARGO)' CARGOFLAGS='$(CARGOFLAGS)' scripts/test-engines

# Under Wine, against a real engine; scripts/test-windows describes the requirements. Not a part of `make test`.
test-windows: toolchain $(BUSYBOX)
	DOCKER_STORE_TEST_BASE='$(abspath $(BUSYBOX))' CARGO='$(CARGO)' CARGOFLAGS='$(CARGOFLAGS)' $(ENGINE) scripts/test-windows

# A demo that depends on no shared libraries.
demo-static: toolchain $(BUSYBOX)
	CARGO='$(CARGO)' CARGOFLAGS='$(CARGOFLAGS)' scripts/demo-static $(ENGINE)

test-quick: toolchain
	$(CARGO) test $(CARGOFLAGS) --workspace --lib --bins

# Only the C boundary: miri cannot run code that talks to an engine or accesses files. Locks of a dependency store pointers as
# integers.
MIRI ?= $(CARGO) +nightly miri
miri: toolchain
	@$(MIRI) --version >/dev/null 2>&1 || { echo 'make: miri not found; it is a part of nightly Rust: rustup toolchain install nightly --component miri' >&2; exit 1; }
	MIRIFLAGS=-Zmiri-permissive-provenance $(MIRI) test $(CARGOFLAGS) --lib capi::

test-real: library $(BUSYBOX) $(USERLAND) $(ZLIB)
	DOCKER_STORE_TEST_REAL=1 DOCKER_STORE_TEST_BASE='$(abspath $(BUSYBOX))' \
	DOCKER_STORE_TEST_USERLAND='$(abspath $(USERLAND))' DOCKER_STORE_TEST_ZLIB='$(abspath $(ZLIB))' \
	$(ENGINE) $(CARGO) test $(CARGOFLAGS) --test real_build -- --nocapture

lint: toolchain
	$(CARGO) fmt --all --check
	$(CARGO) clippy $(CARGOFLAGS) --workspace --all-targets -- -D warnings
	$(CARGO) clippy $(CARGOFLAGS) --no-default-features --lib -- -D warnings
	CARGO='$(CARGO)' CARGOFLAGS='$(CARGOFLAGS)' scripts/cross-check
	scripts/english
	@if command -v cargo-deny >/dev/null; then echo cargo deny; $(CARGO) deny --workspace check bans licenses sources; else echo 'cargo-deny not found: the dependencies were not checked'; fi
	@if command -v shellcheck >/dev/null; then echo shellcheck; shellcheck scripts/* .ci/run; else echo 'shellcheck not found: the scripts were not checked'; fi

msrv: toolchain
	scripts/msrv target/msrv

# In this order, because the reference is generated from the header.
header: toolchain
	UPDATE_HEADER=1 $(CARGO) test $(CARGOFLAGS) --test header
	UPDATE_HEADER=1 $(CARGO) test $(CARGOFLAGS) --test reference the_reference
	@if command -v python3 >/dev/null; then python3 bindings/python/generate.py; else echo 'python3 not found: bindings/python was not regenerated'; fi

# The exported symbols and the numbers of the release library.
abi: library
	UPDATE_ABI=1 $(CARGO) test $(CARGOFLAGS) --test symbols the_library_exports
	UPDATE_ABI=1 $(CARGO) test $(CARGOFLAGS) --test capi_c numbers_and_sizes

# All generated files.
regenerate: header abi

# The wheel. `make header` generates the package's declarations.
python: library
	scripts/python wheel $(TARGET)/release

# ---------------------------------------------------------------- benchmarks

# Run one benchmark at a time, on an idle machine. scripts/bench describes the options.
BENCH := CARGO='$(CARGO)' CARGOFLAGS='$(CARGOFLAGS)' scripts/bench

bench: toolchain
	$(BENCH)

bench-quick: toolchain
	$(BENCH) --quick

bench-caches: toolchain
	$(BENCH) --only caches,depth

# ---------------------------------------------------------------- installing

PC := $(LIBDIR)/pkgconfig/docker_store.pc
CMAKE := $(LIBDIR)/cmake/docker_store
INSTALLED := $(INCLUDEDIR)/docker_store.h $(PC) $(CMAKE)/docker_store-config.cmake $(CMAKE)/docker_store-config-version.cmake \
    $(addprefix $(LIBDIR)/,libdocker_store.a libdocker_store.so libdocker_store.so.$(ABI) libdocker_store.so.$(VERSION))

# $(call fill,TEMPLATE,PLACE): fills in this installation's paths in a template of packaging/.
fill = sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@LIBDIR@|$(LIBDIR)|' -e 's|@INCLUDEDIR@|$(INCLUDEDIR)|' \
    -e 's|@VERSION@|$(VERSION)|' -e 's|@ABI@|$(ABI)|' -e 's|@STATIC_LIBS@|$(STATIC_LIBS)|' \
    packaging/$(1).in >'$(DESTDIR)$(2)' && chmod 644 '$(DESTDIR)$(2)'

# Does not build, because there may be no cargo under sudo.
install: install-library
	@if test -f $(DSTORE); then $(MAKE) --no-print-directory install-cli; else echo 'dstore is not built, so it was not installed: make cli builds it'; fi

install-library:
	@test -f $(SHARED) || { echo 'make: not built yet: run make first' >&2; exit 1; }
	@$(MAKE) --no-print-directory -s $(VERSIONED)
	install -d '$(DESTDIR)$(dir $(PC))' '$(DESTDIR)$(CMAKE)' '$(DESTDIR)$(INCLUDEDIR)'
	install -m 644 include/docker_store.h '$(DESTDIR)$(INCLUDEDIR)/docker_store.h'
	install -m 644 $(STATIC) '$(DESTDIR)$(LIBDIR)/libdocker_store.a'
	install -m 755 $(VERSIONED) '$(DESTDIR)$(LIBDIR)/libdocker_store.so.$(VERSION)'
	ln -sf libdocker_store.so.$(VERSION) '$(DESTDIR)$(LIBDIR)/libdocker_store.so.$(ABI)'
	ln -sf libdocker_store.so.$(ABI) '$(DESTDIR)$(LIBDIR)/libdocker_store.so'
	$(call fill,docker_store.pc,$(PC))
	$(call fill,docker_store-config.cmake,$(CMAKE)/docker_store-config.cmake)
	$(call fill,docker_store-config-version.cmake,$(CMAKE)/docker_store-config-version.cmake)

BINDIR ?= $(PREFIX)/bin
SHAREDIR ?= $(PREFIX)/share
MAN := $(SHAREDIR)/man/man1
BASH := $(SHAREDIR)/bash-completion/completions
ZSH := $(SHAREDIR)/zsh/site-functions
FISH := $(SHAREDIR)/fish/vendor_completions.d
# Each command has a page; a test of dstore compares the list.
PAGES := $(addprefix dstore,$(addsuffix .1,$(addprefix -,caches completions destroy doctor export load log ls pin prune purge push rm save show tag unpin usage why)) .1)
INSTALLED_CLI := $(BINDIR)/dstore $(addprefix $(MAN)/,$(PAGES)) $(BASH)/dstore $(ZSH)/_dstore $(FISH)/dstore.fish

install-cli:
	@test -f '$(DSTORE)' && test -d '$(MADE)' || { echo 'make: not built yet: run make cli first' >&2; exit 1; }
	install -d $(foreach place,$(BINDIR) $(MAN) $(BASH) $(ZSH) $(FISH),'$(DESTDIR)$(place)')
	install -m 755 '$(DSTORE)' '$(DESTDIR)$(BINDIR)/dstore'
	install -m 644 $(foreach page,$(PAGES),'$(MADE)/man/$(page)') '$(DESTDIR)$(MAN)'
	install -m 644 '$(MADE)/completions/dstore.bash' '$(DESTDIR)$(BASH)/dstore'
	install -m 644 '$(MADE)/completions/_dstore' '$(DESTDIR)$(ZSH)/_dstore'
	install -m 644 '$(MADE)/completions/dstore.fish' '$(DESTDIR)$(FISH)/dstore.fish'

uninstall:
	rm -f $(foreach file,$(INSTALLED) $(INSTALLED_CLI),'$(DESTDIR)$(file)')
	-rmdir '$(DESTDIR)$(CMAKE)' 2>/dev/null

clean: toolchain
	$(CARGO) clean
	rm -rf target
