//! A store within its bounds: when results were used and what they are built on, what takes the space, what stays, and what goes.

mod common;

#[path = "bounds/prunes.rs"]
mod prunes;
#[path = "bounds/records.rs"]
mod records;
