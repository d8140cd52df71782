//! How the bytes of a cache are cloned: one [trait](strategy), two strategies, and the volumes that they use.

pub(crate) mod archive;
pub(crate) mod copy;
pub(crate) mod layer;
pub(crate) mod overlay;
pub(crate) mod strategy;
pub(crate) mod view;
pub(crate) mod volumes;

use self::copy::Copy;
use self::overlay::Overlay;
use self::strategy::Cloning;
use crate::store::cache::facts::Facts;
use crate::store::cache::state::record::{Looks, Record};
use crate::store::options::Strategy;

/// How leases are cloned from now on.
pub(crate) fn cloning(facts: &Facts) -> Box<dyn Cloning + '_> {
    match facts.strategy {
        Strategy::Overlay => Box::new(Overlay(facts)),
        _ => Box::new(Copy(facts)),
    }
}

/// How this lease was cloned, maybe by another process.
pub(crate) fn cloning_of<'a>(facts: &'a Facts, record: &Record) -> Box<dyn Cloning + 'a> {
    match record.looks {
        Some(Looks::Upper { .. }) => Box::new(Overlay(facts)),
        _ => Box::new(Copy(facts)),
    }
}
