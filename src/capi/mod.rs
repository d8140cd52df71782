//! The C ABI: `include/docker_store.h` is generated from here, and its documentation is what the comments here say.
//!
//! A type or function has the same name on both sides. Each file holds one C type and its calls, all in safe code; under them lie
//! [`boundary`] (the macros that they are written in: nothing unwinds into C, a failure becomes a status), [`arguments`] (nothing
//! that C hands in is trusted) and [`handle`] (what a C pointer to one of our objects is). To add a call: write it beside its like, then `make header`,
//! and `UPDATE_ABI=1 cargo test --test symbols` to list it; for a new number, the same with `--test capi_c`.

// With the transports, the one place that has to be. Every block says why it may.
#![allow(unsafe_code)]
#![allow(non_camel_case_types)]
// What C sees is reached by its symbol, not by a path.
#![allow(unreachable_pub)]

mod arguments;
mod boundary;
mod build;
mod cache;
mod callback;
mod cancel;
mod command;
mod copy;
mod destroy;
mod error;
mod fallible;
mod handle;
mod health;
mod host_files;
mod id;
mod image_config;
mod item;
mod lease;
mod log;
mod options;
mod outfile;
mod pins;
mod policy;
mod prune;
mod publish;
mod results;
mod settings;
mod source;
mod status;
mod step;
mod store;
mod text;
mod upkeep;
mod usage;
mod version;

#[cfg(test)]
mod tests;
