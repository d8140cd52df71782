//! stub
use crate::error::{Error, ErrorKind};
use crate::store::cache::head::Part;
use crate::store::cache::probe::Facts;
use crate::store::cache::strategy::{Failed, Made};
use crate::store::site::Site;
use crate::wait::Wait;

pub(super) struct Merged {
    pub(super) volume: String,
}
impl Merged {
    pub(super) fn remove(self, _site: &Site) {}
}
pub(super) fn merged(_site: &Site, _facts: &Facts, _cache: &str, _layers: &[Part], _wait: Wait<'_>) -> Made<Merged> {
    Err(Error::new(ErrorKind::Unsupported, "layers").into())
}
