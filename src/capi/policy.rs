//! `dstore_policy`: the limits to which a prune reduces a store.

use std::ptr;
use std::time::Duration;

use crate::capi::arguments::GivenBack;
use crate::capi::boundary::infallible;
use crate::capi::error::dstore_error;
use crate::capi::handle::{Handle, give};
use crate::capi::settings::{Settable, Settings, setter};
use crate::capi::status::dstore_status;
use crate::store::Policy;

/// The limits to which a prune reduces a store. A policy without limits removes nothing. First,
/// items that were unused for too long are removed. Then, while the store is too large or too
/// little disk space is free, the least recently used items are removed; among equals, the one that
/// was fastest to build. A result is removed after the results that were built on it. Only one
/// thread at a time may set the policy. The first error of a setter is remembered, and
/// dstore_store_prune() then fails with the same status.
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
    /// Returns what was set.
    pub(super) fn get(&self) -> crate::error::Result<Policy> {
        self.0.get()
    }
}

/// Creates a policy without limits. Free it with dstore_policy_free(). Returns NULL only on an
/// internal error.
///
/// Does not block.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn dstore_policy_new() -> *mut dstore_policy {
    infallible!(ptr::null_mut(), || {
        give(dstore_policy(Settings::new("policy", Policy::new())))
    })
}

/// Sets the maximum size, in bytes, of all items of the kinds that may be removed, as counted by a
/// dstore_usage. The prune counts caches whose size is unknown: as files, or otherwise by asking
/// the engine, which may take seconds.
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

/// Sets the minimum free space on the engine's disk, in bytes. The disk must be on the local
/// machine and accessible; otherwise the prune returns DSTORE_UNSUPPORTED.
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

/// Sets the minimum free space on the engine's disk, in percent as reported by dstore_store_df()
/// and computed by df(1). Returns DSTORE_INVALID_ARGUMENT if `percent` is not a number from 0 to
/// 100.
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

/// Removes items that have not been used for this many milliseconds, however much space is free. A
/// result may then be removed while results that were built on it are kept because they are in use;
/// their layers are kept.
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

/// Sets the minimum number of results to keep.
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

/// Keeps results that were used within this many milliseconds. The default is one minute if another
/// store has the root open, or if this store has reported a result itself; otherwise none. A caller
/// that was told that a result exists has this long to begin a step on it.
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

/// Sets whether results may be removed, with their logs. The default is true.
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

/// Sets whether caches may be removed. The default is true.
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

/// Sets whether logs may be removed alone: those of failed builds, and of results that are kept.
/// The default is false.
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

/// Sets whether the prune only reports what it would remove. The default is false.
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

/// Frees a policy; no-op if NULL.
///
/// Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_policy_free(policy: *mut dstore_policy) {
    infallible!((), |policy: GivenBack<dstore_policy>| drop(policy))
}
