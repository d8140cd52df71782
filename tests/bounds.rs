//! A store within its bounds: when results were used and what they are based on, disk usage, what is kept, and what is removed.

mod common;

#[path = "bounds/killed.rs"]
mod killed;
#[path = "bounds/limited.rs"]
mod limited;
#[path = "bounds/many.rs"]
mod many;
#[path = "bounds/model.rs"]
mod model;
#[path = "bounds/prunes.rs"]
mod prunes;
#[path = "bounds/records.rs"]
mod records;
#[path = "bounds/soak.rs"]
mod soak;
