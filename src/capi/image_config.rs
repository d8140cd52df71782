//! `dstore_image_config`: image settings of a result.

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

/// Image settings of a result, for programs that run it as an image. They override those of its
/// base; what is not set is kept. May be used for any number of steps, by any number of threads
/// concurrently. The first error of a setter is remembered, and dstore_step_configure() then fails
/// with the same status, so the caller may ignore the status of a setter.
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

/// Creates a configuration in which nothing is set. Free it with dstore_image_config_free().
/// Returns NULL only on an internal error.
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

/// Sets the entrypoint: the words in front of every command. No words remove the base's entrypoint.
/// The base's command is kept; set it as well if it does not fit.
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

/// Sets the default command. No words remove the base's command.
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

/// Sets an environment variable. A `value` of NULL removes the base's variable.
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

/// Sets a label. A `value` of NULL removes the base's label.
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

/// Sets the user: a name or a number, optionally followed by ":" and a group. "" sets no user,
/// which means root.
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

/// Sets the working directory, an absolute path.
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

/// Declares a port that the program listens on: "80", "80/tcp" or "53/udp". If `exposed` is false,
/// removes the base's declaration.
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

/// Declares an absolute path at which an engine creates a volume for each container. If `declared`
/// is false, removes the base's declaration.
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

/// Sets the signal that asks the program to stop: "SIGTERM", "TERM" or "15". "" is the same as not
/// set.
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

/// Sets the command with which an engine checks a container's health: exit status 0 means healthy.
/// No words remove the base's check. A time or `retries` of 0 selects the engine's default. The
/// times are the interval between checks, the timeout of one check, and the period after the start
/// in which failures do not count. `retries` is the number of consecutive failures after which the
/// container is unhealthy. Podman does not support health checks: a commit there fails.
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

/// Like dstore_image_config_health_check(), but `line` is run by the image's shell. A `line` of
/// NULL disables health checks, whatever the base specifies.
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

/// Frees a configuration; no-op if NULL.
///
/// Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_image_config_free(config: *mut dstore_image_config) {
    infallible!((), |config: GivenBack<dstore_image_config>| drop(config))
}

/// Sets the image settings of the step's result. Commands of the step still run with the base's
/// settings. May be called at any time before the commit, and repeatedly: later settings override
/// earlier ones. If the engine cannot be given exactly these settings, the commit returns
/// DSTORE_UNSUPPORTED.
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
