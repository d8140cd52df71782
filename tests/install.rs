//! What `make install` installs can be used by a C program with pkg-config alone and with CMake alone, and `make uninstall`
//! removes everything. `cargo cinstall` installs the same, without the CMake files.

mod abi;

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use abi::{Folder, run};

/// Prints what it is linked to: the version of the header and the version of the library in use.
const PROGRAM: &str = r#"
#include <docker_store.h>
#include <stdio.h>
int main(void)
{
    printf("%s %s\n", DSTORE_VERSION_STRING, dstore_version());
    return 0;
}
"#;

/// An installation below a new directory.
struct Installed(Folder);

impl Installed {
    fn new(name: &str) -> Self {
        // `install` also installs dstore if it was built; this is tested in cli/tests/installed.rs.
        let installed = Installed::nothing(name);
        installed.make("install-library");
        installed
    }

    fn nothing(name: &str) -> Self {
        let installed = Installed(Folder::new(&format!("install-{name}")));
        std::fs::write(installed.path("main.c"), PROGRAM).expect("written");
        installed
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.file(name)
    }

    fn make(&self, target: &str) {
        let prefix = format!("PREFIX={}", self.path("usr").display());
        // This test may itself run under make, whose flags are not meant for this one.
        let mut make = Command::new("make");
        make.args(["-s", "-C", env!("CARGO_MANIFEST_DIR"), target, &prefix])
            .env_remove("MAKEFLAGS");
        run(&mut make);
    }

    /// The same by cargo-c, which compiles the library itself. Returns `false` if there is no cargo-c.
    fn cinstall(&self) -> bool {
        let mut cargo = Command::new(env!("CARGO"));
        let there = cargo.args(["cinstall", "--version"]).output();
        if !there.is_ok_and(|output| output.status.success()) {
            return false;
        }
        let (target, usr) = (env!("CARGO_TARGET_TMPDIR"), self.path("usr"));
        let mut cargo = Command::new(env!("CARGO"));
        cargo
            .args(["cinstall", "--locked", "--debug", "--target-dir", target])
            .arg("--prefix")
            .arg(&usr)
            .arg("--libdir")
            .arg(usr.join("lib"))
            .current_dir(env!("CARGO_MANIFEST_DIR"));
        run(&mut cargo);
        true
    }

    /// Runs what was built, with the installed shared library in its search path.
    fn says(&self, program: &Path) -> String {
        let said = run(Command::new(program).env("LD_LIBRARY_PATH", self.path("usr/lib")));
        said.trim().to_owned()
    }
}

fn shell(script: &str, at: &Installed) -> String {
    let said = run(Command::new("sh")
        .args(["-ec", script])
        .current_dir(at.path(""))
        .env("PKG_CONFIG_PATH", at.path("usr/lib/pkgconfig")));
    said.trim().to_owned()
}

fn version() -> String {
    format!("{0} {0}", env!("CARGO_PKG_VERSION"))
}

#[test]
fn pkg_config_alone_links_the_shared_and_the_static_library() {
    by_pkg_config(&Installed::new("pkg-config"));
}

fn by_pkg_config(at: &Installed) {
    shell(
        "cc -Wall -Wextra -Wpedantic -Werror main.c $(pkg-config --cflags --libs docker_store) -o shared",
        at,
    );
    assert_eq!(at.says(&at.path("shared")), version());
    let needed = shell("readelf -d shared", at);
    assert!(
        needed.contains(&format!("[libdocker_store.so.{}]", abi::abi())),
        "{needed}"
    );
    // Without a shared library, the static one and what it needs.
    shell("rm usr/lib/libdocker_store.so*", at);
    shell(
        "cc -Wall -Werror main.c $(pkg-config --cflags --static --libs docker_store) -o static",
        at,
    );
    assert_eq!(at.says(&at.path("static")), version());
    // And with a static C library, too, so that it runs anywhere. (The linker warns about getaddrinfo, which requires the same
    // C library.)
    if cfg!(all(target_os = "linux", target_env = "gnu")) {
        shell(
            "cc -static -Wall -Werror main.c $(pkg-config --cflags --static --libs docker_store) -o whole 2>warnings || { cat warnings; exit 1; }",
            at,
        );
        assert_eq!(at.says(&at.path("whole")), version());
        assert_eq!(shell("readelf -d whole | grep NEEDED || true", at), "");
    }
    assert_eq!(
        shell("pkg-config --modversion docker_store", at),
        env!("CARGO_PKG_VERSION")
    );
}

/// A program that is linked to it requires the version of the ABI that it was built for; an older one, which requires none,
/// runs.
#[test]
#[cfg(target_os = "linux")]
fn every_symbol_has_the_version_of_the_abi_and_programs_without_run() {
    let at = Installed::new("versions");
    let exported = shell(
        "nm -D --defined-only --format=posix usr/lib/libdocker_store.so | cut -d' ' -f1",
        &at,
    );
    let version = format!("DOCKER_STORE_{}", abi::abi());
    let kept = std::fs::read_to_string(abi::root().join("abi/symbols.txt")).expect("the list");
    let expected: BTreeSet<String> = kept
        .lines()
        .map(|name| format!("{name}@@{version}"))
        .chain([version.clone()])
        .collect();
    let exported: BTreeSet<String> = exported.lines().map(str::to_owned).collect();
    assert_eq!(exported, expected);
    let program = at.path("linked");
    shell(
        "cc main.c $(pkg-config --cflags --libs docker_store) -o linked",
        &at,
    );
    assert!(shell("readelf -V linked", &at).contains(&version));
    assert_eq!(at.says(&program), self::version());

    // cargo's own library has no versions.
    let bare = at.path(&format!("libdocker_store.so.{}", abi::abi()));
    std::fs::copy(abi::library("so"), &bare).expect("a copy");
    shell(
        &format!(
            "cc main.c $(pkg-config --cflags docker_store) {} -o before",
            bare.display()
        ),
        &at,
    );
    assert!(!shell("readelf -V before", &at).contains(&version));
    assert_eq!(at.says(&at.path("before")), self::version());
}

#[test]
fn cmake_alone_links_the_shared_and_the_static_library() {
    let at = Installed::new("cmake");
    let (major, rest) = env!("CARGO_PKG_VERSION")
        .split_once('.')
        .expect("three numbers");
    let minor: u32 = rest
        .split('.')
        .next()
        .expect("two")
        .parse()
        .expect("a number");
    let lists = format!(
        "cmake_minimum_required(VERSION 3.13)\nproject(user C)\n\
         find_package(docker_store {major}.{next} CONFIG QUIET)\n\
         if(docker_store_FOUND)\nmessage(FATAL_ERROR \"accepted a request for the next version\")\nendif()\n\
         find_package(docker_store {major}.{minor} CONFIG REQUIRED)\n\
         add_executable(shared main.c)\ntarget_link_libraries(shared docker_store::docker_store)\n\
         add_executable(static main.c)\ntarget_link_libraries(static docker_store::static)\n",
        next = minor + 1
    );
    std::fs::write(at.path("CMakeLists.txt"), lists).expect("written");
    shell(
        "cmake -S . -B build -DCMAKE_PREFIX_PATH=$PWD/usr >log && cmake --build build >>log || { cat log; exit 1; }",
        &at,
    );
    for program in ["build/shared", "build/static"] {
        assert_eq!(at.says(&at.path(program)), version());
    }
}

#[test]
fn uninstalling_takes_away_every_file() {
    let at = Installed::new("uninstall");
    assert!(shell("find usr -type f -o -type l", &at).lines().count() >= 8);
    at.make("uninstall");
    assert_eq!(shell("find usr -type f -o -type l", &at), "");
}

#[test]
fn cargo_c_installs_the_same() {
    let (by_make, by_cargo) = (Installed::new("by-make"), Installed::nothing("by-cargo"));
    if !by_cargo.cinstall() {
        // Not captured if the test passes.
        let _ = writeln!(
            std::io::stderr(),
            "there is no `cargo cinstall`: what it would install was not tried"
        );
        return;
    }
    for same in [
        "find usr -type f -o -type l | grep -v cmake | sort",
        "readelf -d usr/lib/libdocker_store.so | grep SONAME",
        // Only make gives them versions.
        "nm -D --defined-only --format=posix usr/lib/libdocker_store.so | cut -d' ' -f1 | sed 's/@.*//' | grep ^dstore_ | sort",
        "cat usr/include/docker_store.h",
        "pkg-config --modversion docker_store",
    ] {
        assert_eq!(shell(same, &by_cargo), shell(same, &by_make), "{same}");
    }
    for flags in ["--cflags", "--libs", "--static --libs"] {
        let of = |at: &Installed| {
            let flags = shell(&format!("pkg-config {flags} docker_store"), at);
            // Each is in a different directory, and libraries may come in another order.
            let flags = flags.replace(&at.path("").display().to_string(), "/");
            // As rustc reports it, which does not know how it will be linked.
            let flags = flags.replace("-lgcc_s", "-lgcc_eh");
            flags.split(' ').map(str::to_owned).collect::<BTreeSet<_>>()
        };
        assert_eq!(of(&by_cargo), of(&by_make), "{flags}");
    }
    by_pkg_config(&by_cargo);
}

/// A static library of the library that these tests use: for it, rustc reports what all of it requires.
#[test]
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn the_documented_libraries_are_those_that_rust_asks_for() {
    let folder = Folder::new("static-libs");
    let library = abi::library("rlib");
    std::fs::write(folder.file("all.rs"), "pub use docker_store;\n").expect("written");
    let mut rustc = Command::new("rustc");
    rustc
        .args(["--edition", "2024", "--crate-type", "staticlib", "all.rs"])
        .arg(format!("--extern=docker_store={}", library.display()))
        .arg("-L")
        .arg(library.parent().expect("its folder"))
        .arg("--print=native-static-libs=asked")
        .current_dir(folder.file(""));
    run(&mut rustc);
    let asked = std::fs::read_to_string(folder.file("asked")).expect("the list");
    // The shared unwinder, which rustc names, cannot be used with `cc -static`: the other is in both.
    let asked = asked.replace("-lgcc_s", "-lgcc_eh");
    let asked: BTreeSet<&str> = asked.split_whitespace().collect();
    let documented = abi::static_libs();
    let documented: BTreeSet<&str> = documented.iter().map(String::as_str).collect();
    assert_eq!(documented, asked, "STATIC_LIBS of the Makefile");
}
