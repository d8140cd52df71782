//! `dstore_policy`: what a prune is to bring a store to.

use std::ptr;
use std::time::Duration;

use crate::capi::arguments::GivenBack;
use crate::capi::boundary::infallible;
use crate::capi::error::dstore_error;
use crate::capi::handle::{Handle, give};
use crate::capi::settings::{Settable, Settings, setter};
use crate::capi::status::dstore_status;
use crate::store::Policy;

/// What a prune is to bring a store to. One that asks for nothing removes nothing. First goes what
/// was unused for too long; then, while there is too much or too little is free, what was used the
/// longest ago, and among equals what was built in the shortest time. A result goes after those that
/// were built on it. Used by one thread at a time to set. A setter that fails is remembered:
/// dstore_store_prune() then fails with the same error.
#[derive(Debug)]
pub struct dstore_policy(Settings<Policy>);

impl Handle for dstore_policy {}

impl Settable for dstore_policy {
    type Value = Policy;
    const NAME: &'static str = "policy";

    fn settings(&self) -> &Settings<Policy> {
        &self.0
    }
}

impl dstore_policy {
    /// What was set.
    pub(super) fn get(&self) -> crate::error::Result<Policy> {
        self.0.get()
    }
}

/// A new policy, which asks for nothing. Free it with dstore_policy_free(). NULL only where the
/// library itself is at fault.
///
/// Does not block.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn dstore_policy_new() -> *mut dstore_policy {
    infallible!(ptr::null_mut(), || {
        give(dstore_policy(Settings::new("policy", Policy::new())))
    })
}

/// The most bytes that are to stay, of all kinds that may go together, as a dstore_usage counts
/// them. Caches that nobody has counted yet are counted by the prune: as files, or else by asking
/// the engine, which may take it seconds.
///
/// Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_policy_most_bytes(
    policy: *mut dstore_policy,
    bytes: u64,
    error: *mut *mut dstore_error,
) -> dstore_status {
    setter!(error, policy, |policy| {
        policy.most_bytes(bytes);
        Ok(())
    })
}

/// The least bytes that are to be free on the engine's disk, which must be of this machine and in
/// sight: else the prune answers DSTORE_UNSUPPORTED.
///
/// Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_policy_least_free_bytes(
    policy: *mut dstore_policy,
    bytes: u64,
    error: *mut *mut dstore_error,
) -> dstore_status {
    setter!(error, policy, |policy| {
        policy.least_free(bytes);
        Ok(())
    })
}

/// The least that is to be free on the engine's disk, in percent as dstore_store_df() and
/// df(1) say it. DSTORE_INVALID_ARGUMENT for what is no number from 0 to 100.
///
/// Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_policy_least_free_percent(
    policy: *mut dstore_policy,
    percent: f64,
    error: *mut *mut dstore_error,
) -> dstore_status {
    setter!(error, policy, |policy| {
        policy.least_free_percent(percent).map(drop)
    })
}

/// What nobody used for so many milliseconds goes, however much room there is. A result goes alone
/// then, if only those that were built on it are used: their layers stay.
///
/// Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_policy_unused_for(
    policy: *mut dstore_policy,
    milliseconds: u64,
    error: *mut *mut dstore_error,
) -> dstore_status {
    setter!(error, policy, |policy| {
        policy.unused_for(Duration::from_millis(milliseconds));
        Ok(())
    })
}

/// So many results stay at least.
///
/// Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_policy_keep_results(
    policy: *mut dstore_policy,
    number: usize,
    error: *mut *mut dstore_error,
) -> dstore_status {
    setter!(error, policy, |policy| {
        policy.keep_results(number);
        Ok(())
    })
}

/// Results that were used within so many milliseconds stay. By default a minute, while anybody but
/// this store has the root open or where this store has told of a result itself; else none. Whoever
/// was told that a result is there has so long to begin something on it.
///
/// Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_policy_spare(
    policy: *mut dstore_policy,
    milliseconds: u64,
    error: *mut *mut dstore_error,
) -> dstore_status {
    setter!(error, policy, |policy| {
        policy.spare(Duration::from_millis(milliseconds));
        Ok(())
    })
}

/// Whether results may go, with their logs; true by default.
///
/// Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_policy_results(
    policy: *mut dstore_policy,
    may: bool,
    error: *mut *mut dstore_error,
) -> dstore_status {
    setter!(error, policy, |policy| {
        policy.results(may);
        Ok(())
    })
}

/// Whether caches may go; true by default.
///
/// Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_policy_caches(
    policy: *mut dstore_policy,
    may: bool,
    error: *mut *mut dstore_error,
) -> dstore_status {
    setter!(error, policy, |policy| {
        policy.caches(may);
        Ok(())
    })
}

/// Whether logs may go by themselves: those of builds that failed, and of results that stay; false
/// by default.
///
/// Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_policy_logs(
    policy: *mut dstore_policy,
    may: bool,
    error: *mut *mut dstore_error,
) -> dstore_status {
    setter!(error, policy, |policy| {
        policy.logs(may);
        Ok(())
    })
}

/// Whether to tell only what would go; false by default.
///
/// Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_policy_dry_run(
    policy: *mut dstore_policy,
    dry_run: bool,
    error: *mut *mut dstore_error,
) -> dstore_status {
    setter!(error, policy, |policy| {
        policy.dry_run(dry_run);
        Ok(())
    })
}

/// Frees a policy. NULL is fine.
///
/// Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_policy_free(policy: *mut dstore_policy) {
    infallible!((), |policy: GivenBack<dstore_policy>| drop(policy))
}
