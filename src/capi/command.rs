//! `dstore_command`: what to run in a step, and in which environment.

use std::ffi::c_char;
use std::path::Path;
use std::sync::Arc;

use crate::capi::arguments::{GivenBack, Owned, refused, timeout};
use crate::capi::boundary::infallible;
use crate::capi::error::dstore_error;
use crate::capi::fallible::fallible;
use crate::capi::handle::Handle;
use crate::capi::lease::dstore_lease;
use crate::capi::settings::{Settable, Settings, setter};
use crate::capi::status::dstore_status;
use crate::store::step::command::Command;

/// A command and its environment. Its settings apply only to the command: the result keeps its
/// base's configuration. May be run any number of times, by any number of threads concurrently. The
/// first error of a setter is remembered, and dstore_step_run() then fails with the same status, so
/// the caller may ignore the status of a setter.
#[derive(Debug)]
pub struct dstore_command(Settings<Command>);

impl Handle for dstore_command {}

impl Settable for dstore_command {
    type Value = Command;
    const NAME: &'static str = "command";

    fn settings(&self) -> &Settings<Command> {
        &self.0
    }
}

/// Creates a command of `argc` words: the program, looked up in the container's PATH, and its
/// arguments. No shell is involved. Free it with dstore_command_free().
///
/// Does not block. May be NULL: argv, if argc is 0.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_command_new(
    argv: *const *const c_char,
    argc: usize,
    command: *mut *mut dstore_command,
    error: *mut *mut dstore_error,
) -> dstore_status {
    fallible!(
        error,
        |words @ (argv, argc): Vec<&str>, command: Owned<dstore_command>| {
            command.set(dstore_command(Settings::new(
                "command",
                Command::new(words),
            )));
            Ok(())
        }
    )
}

/// Adds an argument.
///
/// Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_command_arg(
    command: *mut dstore_command,
    word: *const c_char,
    error: *mut *mut dstore_error,
) -> dstore_status {
    setter!(error, command, |command, word: &str| {
        command.arg(word);
        Ok(())
    })
}

/// Puts `argc` words before the arguments, instead of the image's own entrypoint.
///
/// Does not block. May be NULL: argv, if argc is 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_command_entrypoint(
    command: *mut dstore_command,
    argv: *const *const c_char,
    argc: usize,
    error: *mut *mut dstore_error,
) -> dstore_status {
    setter!(
        error,
        command,
        |command, words @ (argv, argc): Vec<&str>| {
            command.entrypoint(words);
            Ok(())
        }
    )
}

/// Puts the image's own entrypoint before the arguments, as `docker run` does.
///
/// Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_command_image_entrypoint(
    command: *mut dstore_command,
    error: *mut *mut dstore_error,
) -> dstore_status {
    setter!(error, command, |command| {
        command.image_entrypoint();
        Ok(())
    })
}

/// Sets the working directory; it is created if missing. The default is the image's.
///
/// Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_command_cwd(
    command: *mut dstore_command,
    path: *const c_char,
    error: *mut *mut dstore_error,
) -> dstore_status {
    setter!(error, command, |command, path: &str| {
        command.cwd(path);
        Ok(())
    })
}

/// Sets an environment variable, overriding the image's.
///
/// Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_command_env(
    command: *mut dstore_command,
    name: *const c_char,
    value: *const c_char,
    error: *mut *mut dstore_error,
) -> dstore_status {
    setter!(error, command, |command, name: &str, value: &str| {
        command.env(name, value);
        Ok(())
    })
}

/// Sets the user: a name or a number, optionally followed by ":" and a group. The default is the
/// image's.
///
/// Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_command_user(
    command: *mut dstore_command,
    user: *const c_char,
    error: *mut *mut dstore_error,
) -> dstore_status {
    setter!(error, command, |command, user: &str| {
        command.user(user);
        Ok(())
    })
}

/// Sets the host name that the command sees. The default is "docker-store" in a container without a
/// network; otherwise the engine chooses one.
///
/// Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_command_hostname(
    command: *mut dstore_command,
    name: *const c_char,
    error: *mut *mut dstore_error,
) -> dstore_status {
    setter!(error, command, |command, name: &str| {
        command.hostname(name);
        Ok(())
    })
}

/// Sets the network, by the engine's name for it: "host", "bridge", ... The default is "none",
/// which is safe and fast (it saves a tenth of a second). It provides only `lo`, and an
/// `/etc/hosts` that the command cannot write to; see dstore_options_engine_network().
///
/// Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_command_network(
    command: *mut dstore_command,
    name: *const c_char,
    error: *mut *mut dstore_error,
) -> dstore_status {
    setter!(error, command, |command, name: &str| {
        command.network(name);
        Ok(())
    })
}

/// Limits the command's processor time, in billionths of a processor: 1500000000 is 1.5 processors.
///
/// Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_command_nano_cpus(
    command: *mut dstore_command,
    nano_cpus: i64,
    error: *mut *mut dstore_error,
) -> dstore_status {
    setter!(error, command, |command| {
        command.nano_cpus(nano_cpus);
        Ok(())
    })
}

/// Limits the command's memory, including swap, to `bytes`. If the command exceeds the limit, the
/// kernel kills it and the run returns DSTORE_OUT_OF_MEMORY.
///
/// Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_command_memory(
    command: *mut dstore_command,
    bytes: i64,
    error: *mut *mut dstore_error,
) -> dstore_status {
    setter!(error, command, |command| {
        command.memory(bytes);
        Ok(())
    })
}

/// Mounts a leased cache at `target`, an absolute path. Release the lease after the step is
/// committed or aborted.
///
/// Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_command_lease(
    command: *mut dstore_command,
    lease: *const dstore_lease,
    target: *const c_char,
    error: *mut *mut dstore_error,
) -> dstore_status {
    setter!(error, command, |command,
                             lease: Arc<dstore_lease>,
                             target: &str| {
        command.leased(lease.volume_of_open()?, target);
        Ok(())
    })
}

/// Mounts the engine's volume `name`, which must exist, at `target`, an absolute path. Nothing of
/// the image is copied into it.
///
/// Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_command_volume(
    command: *mut dstore_command,
    name: *const c_char,
    target: *const c_char,
    read_only: bool,
    error: *mut *mut dstore_error,
) -> dstore_status {
    setter!(error, command, |command, name: &str, target: &str| {
        command.volume(name, target, read_only);
        Ok(())
    })
}

/// Mounts `source`, an absolute path on the engine's host, at `target`, an absolute path.
///
/// Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_command_bind(
    command: *mut dstore_command,
    source: *const c_char,
    target: *const c_char,
    read_only: bool,
    error: *mut *mut dstore_error,
) -> dstore_status {
    setter!(error, command, |command, source: &str, target: &str| {
        command.bind(source, target, read_only);
        Ok(())
    })
}

/// Gives the command a read-only file at `target`, an absolute path, with `length` bytes of
/// content. It is owned by `uid` and `gid`, and its mode is `mode`, up to 0777. The content is
/// copied. It never appears in the result, the log, the environment or what the engine shows of the
/// container.
///
/// Does not block. May be NULL: content, if there is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_command_secret(
    command: *mut dstore_command,
    target: *const c_char,
    content: *const c_char,
    length: usize,
    uid: u32,
    gid: u32,
    mode: u32,
    error: *mut *mut dstore_error,
) -> dstore_status {
    setter!(
        error,
        command,
        |command, target: &str, content @ (content, length): &[u8]| {
            command.secret(target, content, (uid, gid), mode);
            Ok(())
        }
    )
}

/// Sets the command's standard input to `length` bytes, which are copied. The default is empty.
///
/// Does not block. May be NULL: content, if there is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_command_stdin(
    command: *mut dstore_command,
    content: *const c_char,
    length: usize,
    error: *mut *mut dstore_error,
) -> dstore_status {
    setter!(
        error,
        command,
        |command, content @ (content, length): &[u8]| {
            command.stdin(content);
            Ok(())
        }
    )
}

/// Sets the command's standard input to a local file (any bytes), which is opened when the command
/// is run. It may be a pipe: a silent pipe delays neither the end of the command nor a cancel.
///
/// Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_command_stdin_file(
    command: *mut dstore_command,
    path: *const c_char,
    error: *mut *mut dstore_error,
) -> dstore_status {
    setter!(error, command, |command, path: &Path| {
        command.stdin_file(path);
        Ok(())
    })
}

/// Kills the command after `timeout_ms` milliseconds, which must not be 0. The run then returns
/// DSTORE_TIMED_OUT.
///
/// Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_command_timeout(
    command: *mut dstore_command,
    timeout_ms: u64,
    error: *mut *mut dstore_error,
) -> dstore_status {
    setter!(error, command, |command| {
        command.timeout(timeout(timeout_ms).ok_or_else(|| refused("timeout_ms", "is 0"))?);
        Ok(())
    })
}

/// If `allow` is true, a non-zero exit status is not an error. By default it is: the run returns
/// DSTORE_COMMAND_FAILED, and the step can only be aborted. A program that cannot be started is
/// then not an error either; see dstore_step_was_started().
///
/// Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_command_allow_failure(
    command: *mut dstore_command,
    allow: bool,
    error: *mut *mut dstore_error,
) -> dstore_status {
    setter!(error, command, |command| {
        command.allow_failure(allow);
        Ok(())
    })
}

/// Frees a command; no-op if NULL. A run in progress continues.
///
/// Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_command_free(command: *mut dstore_command) {
    infallible!((), |command: GivenBack<dstore_command>| drop(command))
}
