# The front door: no Rust needed to know. `make help` says what there is.

CARGO ?= cargo
CARGOFLAGS ?= --locked
CFLAGS ?= -O2 -g -Wall -Wextra
PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include

# The version stands in Cargo.toml alone. While it is 0.x, each minor version may break the ABI, and is in the SONAME.
VERSION := $(shell sed -n '/^\[package\]/,/^\[/s/^version *= *"\(.*\)"/\1/p' Cargo.toml)
words := $(subst ., ,$(VERSION))
ABI := $(word 1,$(words))$(if $(filter 0,$(word 1,$(words))),.$(word 2,$(words)))

TARGET := $(or $(CARGO_TARGET_DIR),target)
STATIC := $(TARGET)/release/libdocker_store.a
SHARED := $(TARGET)/release/libdocker_store.so
DSTORE := $(TARGET)/release/dstore
MADE := $(TARGET)/dstore
# What is installed: the same once more, with versions of symbols where the system has them.
VERSIONED := $(TARGET)/release/versioned/libdocker_store.so
# What Rust's standard library needs of the system, for who links the static library. The unwinder is the one that `cc -static` has, too.
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
	@echo '        make cli      dstore, a command that shows what is in a store'
	@echo '        make help     all there is'

library: toolchain
	$(CARGO) build --release $(CARGOFLAGS)
	@$(MAKE) --no-print-directory -s $(VERSIONED)

# rustc writes a version script of its own for a shared library, beside which linkers take none that names versions. So it is linked
# once more, from the static one. Programs that were linked without versions still run with it.
ifeq ($(shell uname -s),Linux)
$(VERSIONED): $(STATIC) abi/symbols.txt Makefile
	@# Several may be at it at once, as tests that install are.
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

# With what shells and man(1) read. It has dependencies that the library has not, so only who asks for it builds them.
cli: toolchain
	$(CARGO) build --release $(CARGOFLAGS) --package dstore
	rm -rf '$(MADE)'
	$(DSTORE) generate '$(MADE)'

help:
	@echo 'make             build the library, shared and static (docker-store $(VERSION))'
	@echo 'make cli         build dstore, a command that shows what is in a store (docs/dstore.md)'
	@echo 'make demo        a C program builds with it; once more, and all is found as done'
	@echo 'make demo-real   a C program compiles a real C project in containers, with a compiler cache'
	@echo 'make examples    compile examples/c, to start from, into $(TARGET)/c'
	@echo 'make test        all tests; an engine is started if none answers'
	@echo 'make test-ocaml  those of the OCaml bindings alone (installs OCaml where it can)'
	@echo 'make python      the Python package as a wheel, with the library in it (bindings/python)'
	@echo 'make test-python  its tests, and examples/go where Go is (installs what it needs of PyPI under $(TARGET))'
	@echo 'make test-engines  the tests on Docker 20.10 to 28.5 and Podman 4.3 to 5.8, as a table (root, Debian; an hour)'
	@echo 'make test-windows  the library for Windows, under Wine (Debian, rustup)'
	@echo 'make demo-static   make demo, as a static program (musl)'
	@echo 'make test-quick  the tests that need no engine'
	@echo 'make miri        the tests of the C boundary under miri (needs nightly Rust with miri)'
	@echo 'make test-real   the test that compiles a real C project (some minutes)'
	@echo 'make lint        formatting and lints'
	@echo 'make msrv        check that the oldest Rust we promise builds it (root, Debian)'
	@echo 'make regenerate  write anew what is made from something else: make header, make abi'
	@echo 'make header      include/docker_store.h, docs/c-api.md and what Python has of it'
	@echo 'make abi         abi/: the symbols and the numbers'
	@echo 'make bench       docker-store beside other clients: docs/benchmarks.md and plots (half an hour)'
	@echo 'make bench-quick a two-minute version of it; make bench-caches: its tables of caches (ten minutes)'
	@echo 'make install     into PREFIX=$(PREFIX), under DESTDIR if set; make uninstall takes it away'
	@echo 'make clean       remove what was built (not what is in the engine)'
	@echo
	@echo 'An engine that runs is used (DOCKER_HOST, docker context, /var/run/docker.sock); see scripts/engine.'

toolchain:
	@command -v $(CARGO) >/dev/null || { echo 'make: $(CARGO) is not on PATH. Install Rust (with rustup, or the packages cargo and rustc); under sudo, keep your PATH: sudo env PATH="$$PATH" make' >&2; exit 1; }

# ---------------------------------------------------------------- demos

demo: $(TARGET)/c/demo $(BUSYBOX)
	$(ENGINE) $(TARGET)/c/demo target/demo-store $(BUSYBOX)

demo-real: $(TARGET)/c/demo_real $(USERLAND) $(ZLIB)
	$(ENGINE) $(TARGET)/c/demo_real target/demo-store $(USERLAND) $(ZLIB) target/demo-real

examples: $(patsubst examples/c/%.c,$(TARGET)/c/%,$(wildcard examples/c/*.c))

# Linked each time: only cargo knows whether the library has changed.
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

# The tests of the C ABI link both libraries, as C programs do. Most tests wait for the engine: hence more threads than processors.
test: library $(BUSYBOX)
	scripts/need valgrind strace cmake pkg-config g++ git sqlite3 skopeo docker-registry
	$(CARGO) build $(CARGOFLAGS) --workspace
	RUST_TEST_THREADS=$${RUST_TEST_THREADS:-4} DOCKER_STORE_TEST_BASE='$(abspath $(BUSYBOX))' \
	$(ENGINE) sh -c '$(CARGO) test $(CARGOFLAGS) --workspace --no-fail-fast && scripts/ocaml $(TARGET)/release'

# Installs OCaml from Debian's packages where it can.
test-ocaml: library $(BUSYBOX)
	DOCKER_STORE_TEST_BASE='$(abspath $(BUSYBOX))' $(ENGINE) scripts/ocaml $(TARGET)/release

# Not a part of `make test`, which takes long enough: .ci/run runs it.
test-python: library $(BUSYBOX)
	DOCKER_STORE_TEST_BASE='$(abspath $(BUSYBOX))' $(ENGINE) sh -c 'scripts/python test $(TARGET)/release && scripts/go $(TARGET)/release'

# ENGINES="…" and SUITES="…" choose; see scripts/test-engines.
test-engines: toolchain
	CARGO='$(CARGO)' CARGOFLAGS='$(CARGOFLAGS)' scripts/test-engines

# Under Wine, against a real engine; scripts/test-windows says what it needs. Not a part of `make test`.
test-windows: toolchain $(BUSYBOX)
	DOCKER_STORE_TEST_BASE='$(abspath $(BUSYBOX))' CARGO='$(CARGO)' CARGOFLAGS='$(CARGOFLAGS)' $(ENGINE) scripts/test-windows

# A demo that needs nothing of the machine that it runs on.
demo-static: toolchain $(BUSYBOX)
	CARGO='$(CARGO)' CARGOFLAGS='$(CARGOFLAGS)' scripts/demo-static $(ENGINE)

test-quick: toolchain
	$(CARGO) test $(CARGOFLAGS) --workspace --lib --bins

# Of the C boundary only: what talks to an engine or touches files, miri cannot run. Locks of a dependency keep pointers in numbers.
MIRI ?= $(CARGO) +nightly miri
miri: toolchain
	@$(MIRI) --version >/dev/null 2>&1 || { echo 'make: there is no miri, which is a part of nightly Rust: rustup toolchain install nightly --component miri' >&2; exit 1; }
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
	@if command -v shellcheck >/dev/null; then echo shellcheck; shellcheck scripts/* .ci/run; else echo 'shellcheck is not there: the scripts were not checked'; fi

msrv: toolchain
	scripts/msrv target/msrv

# In this order: the reference is made of the header.
header: toolchain
	UPDATE_HEADER=1 $(CARGO) test $(CARGOFLAGS) --test header
	UPDATE_HEADER=1 $(CARGO) test $(CARGOFLAGS) --test reference the_reference
	@if command -v python3 >/dev/null; then python3 bindings/python/generate.py; else echo 'there is no python3: bindings/python was not written anew'; fi

# What is exported, and the numbers: of the release library.
abi: library
	UPDATE_ABI=1 $(CARGO) test $(CARGOFLAGS) --test symbols the_library_exports
	UPDATE_ABI=1 $(CARGO) test $(CARGOFLAGS) --test capi_c numbers_and_sizes

# All that is made from something else.
regenerate: header abi

# The wheel: of what the header declares, `make header` writes what the package has.
python: library
	scripts/python wheel $(TARGET)/release

# ---------------------------------------------------------------- benchmarks

# One at a time, on a machine with nothing else to do; scripts/bench says what can be left out.
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

# $(call fill,TEMPLATE,PLACE): a template of packaging/ with this installation's paths.
fill = sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@LIBDIR@|$(LIBDIR)|' -e 's|@INCLUDEDIR@|$(INCLUDEDIR)|' \
    -e 's|@VERSION@|$(VERSION)|' -e 's|@ABI@|$(ABI)|' -e 's|@STATIC_LIBS@|$(STATIC_LIBS)|' \
    packaging/$(1).in >'$(DESTDIR)$(2)' && chmod 644 '$(DESTDIR)$(2)'

# Does not build: under sudo there may be no cargo.
install: install-library
	@if test -f $(DSTORE); then $(MAKE) --no-print-directory install-cli; else echo 'dstore is not built, and not installed: make cli builds it'; fi

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
# Each command has a page; a test of dstore's compares.
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
