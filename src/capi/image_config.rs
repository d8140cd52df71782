//! `dstore_image_config`: what a result says to whoever runs it.

use std::ffi::c_char;
use std::ptr;
use std::sync::Arc;
use std::time::Duration;

use crate::capi::arguments::GivenBack;
use crate::capi::boundary::infallible;
use crate::capi::error::dstore_error;
use crate::capi::fallible::fallible;
use crate::capi::handle::{Handle, give};
use crate::capi::settings::{Settable, Settings, setter};
use crate::capi::status::dstore_status;
use crate::capi::step::dstore_step;
use crate::store::step::{HealthCheck, ImageConfig};

/// What a result says to whoever runs it, set over what its base says; what is not set stays. May be
/// used for any number of steps, by any number of threads at once. A setter that fails is remembered:
/// dstore_step_configure() then fails with the same error, so a setter's own status need not be
/// looked at.
#[derive(Debug)]
pub struct dstore_image_config(Settings<ImageConfig>);

impl Handle for dstore_image_config {}

impl Settable for dstore_image_config {
    type Value = ImageConfig;
    const NAME: &'static str = "config";

    fn settings(&self) -> &Settings<ImageConfig> {
        &self.0
    }
}

/// A new configuration, in which nothing is set. Free it with dstore_image_config_free(). NULL only
/// where the library itself is at fault.
///
/// Does not block.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn dstore_image_config_new() -> *mut dstore_image_config {
    infallible!(ptr::null_mut(), || {
        give(dstore_image_config(Settings::new(
            "config",
            ImageConfig::new(),
        )))
    })
}

/// The words in front of whatever is run; none takes the base's away. The command of the base stays:
/// set that, too.
///
/// Does not block. May be NULL: argv, if argc is 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_image_config_entrypoint(
    config: *mut dstore_image_config,
    argv: *const *const c_char,
    argc: usize,
    error: *mut *mut dstore_error,
) -> dstore_status {
    setter!(error, config, |config, words @ (argv, argc): Vec<&str>| {
        config.entrypoint(words);
        Ok(())
    })
}

/// What is run where nothing else is asked for; no words take the base's away.
///
/// Does not block. May be NULL: argv, if argc is 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_image_config_command(
    config: *mut dstore_image_config,
    argv: *const *const c_char,
    argc: usize,
    error: *mut *mut dstore_error,
) -> dstore_status {
    setter!(error, config, |config, words @ (argv, argc): Vec<&str>| {
        config.command(words);
        Ok(())
    })
}

/// An environment variable. NULL for a value takes the base's away.
///
/// Does not block. May be NULL: value.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_image_config_env(
    config: *mut dstore_image_config,
    name: *const c_char,
    value: *const c_char,
    error: *mut *mut dstore_error,
) -> dstore_status {
    setter!(error, config, |config, name: &str, value: Option<&str>| {
        match value {
            Some(value) => config.env(name, value),
            None => config.no_env(name),
        };
        Ok(())
    })
}

/// A label. NULL for a value takes the base's away.
///
/// Does not block. May be NULL: value.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_image_config_label(
    config: *mut dstore_image_config,
    name: *const c_char,
    value: *const c_char,
    error: *mut *mut dstore_error,
) -> dstore_status {
    setter!(error, config, |config, name: &str, value: Option<&str>| {
        match value {
            Some(value) => config.label(name, value),
            None => config.no_label(name),
        };
        Ok(())
    })
}

/// The user: a name or a number, or either with ":" and a group. "" is nobody in particular, which is
/// root.
///
/// Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_image_config_user(
    config: *mut dstore_image_config,
    user: *const c_char,
    error: *mut *mut dstore_error,
) -> dstore_status {
    setter!(error, config, |config, user: &str| {
        config.user(user);
        Ok(())
    })
}

/// The working directory, an absolute path.
///
/// Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_image_config_directory(
    config: *mut dstore_image_config,
    path: *const c_char,
    error: *mut *mut dstore_error,
) -> dstore_status {
    setter!(error, config, |config, path: &str| {
        config.directory(path);
        Ok(())
    })
}

/// A port that is listened at: "80", "80/tcp" or "53/udp". With `exposed` false the base's is taken
/// away.
///
/// Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_image_config_port(
    config: *mut dstore_image_config,
    port: *const c_char,
    exposed: bool,
    error: *mut *mut dstore_error,
) -> dstore_status {
    setter!(error, config, |config, port: &str| {
        match exposed {
            true => config.expose(port),
            false => config.no_expose(port),
        };
        Ok(())
    })
}

/// A place for which an engine makes a volume in each container, an absolute path. With `declared`
/// false the base's is taken away.
///
/// Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_image_config_volume(
    config: *mut dstore_image_config,
    path: *const c_char,
    declared: bool,
    error: *mut *mut dstore_error,
) -> dstore_status {
    setter!(error, config, |config, path: &str| {
        match declared {
            true => config.volume(path),
            false => config.no_volume(path),
        };
        Ok(())
    })
}

/// The signal that asks it to end: "SIGTERM", "TERM" or "15". "" is as if none were set.
///
/// Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_image_config_stop_signal(
    config: *mut dstore_image_config,
    signal: *const c_char,
    error: *mut *mut dstore_error,
) -> dstore_status {
    setter!(error, config, |config, signal: &str| {
        config.stop_signal(signal);
        Ok(())
    })
}

/// How an engine finds out whether a container is well: by a command that ends with 0. No words take
/// the base's check away. A time or `retries` of 0 is the engine's own default: how long from one to the
/// next, how long one may take, for how long after the start failures do not count, and after how many
/// in a row it is not well. Podman keeps no health check: a commit there fails.
///
/// Does not block. May be NULL: argv, if argc is 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_image_config_health_check(
    config: *mut dstore_image_config,
    argv: *const *const c_char,
    argc: usize,
    interval_ms: u64,
    timeout_ms: u64,
    start_period_ms: u64,
    retries: u32,
    error: *mut *mut dstore_error,
) -> dstore_status {
    setter!(error, config, |config, words @ (argv, argc): Vec<&str>| {
        let check = (!words.is_empty()).then(|| {
            HealthCheck::command(words)
                .interval(Duration::from_millis(interval_ms))
                .timeout(Duration::from_millis(timeout_ms))
                .start_period(Duration::from_millis(start_period_ms))
                .retries(retries)
        });
        config.health_check(check);
        Ok(())
    })
}

/// dstore_image_config_health_check() by a line for the image's shell. NULL for one says that none is
/// made, whatever the base says.
///
/// Does not block. May be NULL: line.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_image_config_health_shell(
    config: *mut dstore_image_config,
    line: *const c_char,
    interval_ms: u64,
    timeout_ms: u64,
    start_period_ms: u64,
    retries: u32,
    error: *mut *mut dstore_error,
) -> dstore_status {
    setter!(error, config, |config, line: Option<&str>| {
        let check = match line {
            Some(line) => HealthCheck::shell(line)
                .interval(Duration::from_millis(interval_ms))
                .timeout(Duration::from_millis(timeout_ms))
                .start_period(Duration::from_millis(start_period_ms))
                .retries(retries),
            None => HealthCheck::none(),
        };
        config.health_check(Some(check));
        Ok(())
    })
}

/// Frees a configuration. NULL is fine.
///
/// Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_image_config_free(config: *mut dstore_image_config) {
    infallible!((), |config: GivenBack<dstore_image_config>| drop(config))
}

/// Sets what the step's result says to whoever runs it. Commands of the step still run as its base
/// says. May be called at any time before the commit, and again: later settings stand over earlier ones.
/// The commit is DSTORE_UNSUPPORTED where the engine cannot be given exactly this.
///
/// Does not block.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_step_configure(
    step: *mut dstore_step,
    config: *const dstore_image_config,
    error: *mut *mut dstore_error,
) -> dstore_status {
    fallible!(
        error,
        |step: Arc<dstore_step>, config: Arc<dstore_image_config>| {
            step.enter()?.configure(&config.settings().get()?)
        }
    )
}
