//! The C ABI. `include/docker_store.h` and its documentation are generated from the functions and comments here.
//!
//! A type or function has the same name in C and Rust. Each file contains one C type and its functions, all in safe code. They
//! are based on three modules. [`boundary`] has the macros that they are written in: nothing unwinds into C, and a failure
//! becomes a status. [`arguments`] checks everything that C passes in. [`handle`] defines what a C pointer to one of our
//! objects is.
//!
//! To add a function, write it next to similar ones and run `make regenerate`; CONTRIBUTING.md has the other steps.

// C calls in here. (Unsafe code is also where a child process is started for ssh, and in calls of Windows.) Every block says
// why it is sound.
#![allow(unsafe_code)]
#![allow(non_camel_case_types)]
// C refers to an item by its symbol, not by a path.
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
mod host_folder;
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
