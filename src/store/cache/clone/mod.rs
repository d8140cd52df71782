//! How the data of a cache is cloned: one [trait](strategy), two strategies, and the volumes that they use.

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

/// Returns the way in which new leases are cloned.
pub(crate) fn cloning(facts: &Facts) -> Box<dyn Cloning + '_> {
    match facts.strategy {
        Strategy::Overlay => Box::new(Overlay(facts)),
        _ => Box::new(Copy(facts)),
    }
}

/// Returns the way in which this lease was cloned, possibly by another process.
pub(crate) fn cloning_of<'a>(facts: &'a Facts, record: &Record) -> Box<dyn Cloning + 'a> {
    match record.looks {
        Some(Looks::Upper { .. }) => Box::new(Overlay(facts)),
        _ => Box::new(Copy(facts)),
    }
}
