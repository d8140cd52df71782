//! Gives the shared library its SONAME, which cargo does not: a program asks for the ABI that it was linked to. Below 1.0 each
//! minor version may break it. (cargo-c does the same by the same rule; given twice, it is one.)

use std::env::var;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=Cargo.toml");
    let set = |name: &str| var(name).unwrap_or_else(|e| panic!("{name}: {e}"));
    let abi = match set("CARGO_PKG_VERSION_MAJOR").as_str() {
        "0" => format!("0.{}", set("CARGO_PKG_VERSION_MINOR")),
        major => major.to_owned(),
    };
    if set("CARGO_CFG_TARGET_OS") == "linux" {
        println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libdocker_store.so.{abi}");
    }
}
