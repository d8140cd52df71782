//! `dstore_command`: what to run in a step, and in what surroundings.

use std::ffi::c_char;

use crate::capi::arguments::{self, Out, bytes, object, refused, text, texts, timeout};
use crate::capi::boundary::free;
use crate::capi::error::dstore_error;
use crate::capi::fallible::fallible;
use crate::capi::handle::give;
use crate::capi::lease::dstore_lease;
use crate::capi::settings::{Settable, Settings, set};
use crate::capi::status::dstore_status;
use crate::store::step::command::Command;

/// A command and its surroundings. Whatever is set here ends with the command: the result keeps its
/// base's configuration. May be run any number of times, by any number of threads at once. A setter
/// that fails is remembered: dstore_step_run() then fails with the same error, so a setter's own
/// status need not be looked at.
#[derive(Debug)]
pub struct dstore_command(Settings<Command>);

impl Settable for dstore_command {
    type Value = Command;
    const NAME: &'static str = "command";

    fn settings(&self) -> &Settings<Command> {
        &self.0
    }
}

/// A command of `argc` words: the program, looked up in the container's PATH, and its arguments. No
/// shell is involved. Free it with dstore_command_free().
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
    // SAFETY: what the header says of the pointers.
    unsafe {
        fallible(error, || {
            let command = Out::owned(command, "command")?;
            let words = texts(argv, argc, "argv")?;
            command.set(give(dstore_command(Settings::new(
                "command",
                Command::new(words),
            ))));
            Ok(())
        })
    }
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
    // SAFETY: what the header says of the pointers.
    unsafe {
        set(command, error, |command| {
            command.arg(text(word, "word")?);
            Ok(())
        })
    }
}

/// Puts `argc` words before the arguments, in place of the image's own entrypoint.
///
/// Does not block. May be NULL: argv, if argc is 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_command_entrypoint(
    command: *mut dstore_command,
    argv: *const *const c_char,
    argc: usize,
    error: *mut *mut dstore_error,
) -> dstore_status {
    // SAFETY: what the header says of the pointers.
    unsafe {
        set(command, error, |command| {
            command.entrypoint(texts(argv, argc, "argv")?);
            Ok(())
        })
    }
}

/// Puts the image's own entrypoint before the arguments, as `docker run` would.
///
/// Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_command_image_entrypoint(
    command: *mut dstore_command,
    error: *mut *mut dstore_error,
) -> dstore_status {
    // SAFETY: what the header says of the pointers.
    unsafe {
        set(command, error, |command| {
            command.image_entrypoint();
            Ok(())
        })
    }
}

/// The working directory, made where it is missing. By default the image's.
///
/// Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_command_cwd(
    command: *mut dstore_command,
    path: *const c_char,
    error: *mut *mut dstore_error,
) -> dstore_status {
    // SAFETY: what the header says of the pointers.
    unsafe {
        set(command, error, |command| {
            command.cwd(text(path, "path")?);
            Ok(())
        })
    }
}

/// Sets an environment variable over the image's own.
///
/// Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_command_env(
    command: *mut dstore_command,
    name: *const c_char,
    value: *const c_char,
    error: *mut *mut dstore_error,
) -> dstore_status {
    // SAFETY: what the header says of the pointers.
    unsafe {
        set(command, error, |command| {
            command.env(text(name, "name")?, text(value, "value")?);
            Ok(())
        })
    }
}

/// The user: a name or a number, or either with ":" and a group. By default the image's.
///
/// Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_command_user(
    command: *mut dstore_command,
    user: *const c_char,
    error: *mut *mut dstore_error,
) -> dstore_status {
    // SAFETY: what the header says of the pointers.
    unsafe {
        set(command, error, |command| {
            command.user(text(user, "user")?);
            Ok(())
        })
    }
}

/// The host name that the command sees.
///
/// Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_command_hostname(
    command: *mut dstore_command,
    name: *const c_char,
    error: *mut *mut dstore_error,
) -> dstore_status {
    // SAFETY: what the header says of the pointers.
    unsafe {
        set(command, error, |command| {
            command.hostname(text(name, "name")?);
            Ok(())
        })
    }
}

/// The network, by the engine's name for it: "host", "bridge", ... By default "none": the safe
/// choice, and the fast one (it saves a tenth of a second).
///
/// Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_command_network(
    command: *mut dstore_command,
    name: *const c_char,
    error: *mut *mut dstore_error,
) -> dstore_status {
    // SAFETY: what the header says of the pointers.
    unsafe {
        set(command, error, |command| {
            command.network(text(name, "name")?);
            Ok(())
        })
    }
}

/// How many processors' time it may use, in billionths: 1.5 processors are 1500000000.
///
/// Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_command_nano_cpus(
    command: *mut dstore_command,
    nano_cpus: i64,
    error: *mut *mut dstore_error,
) -> dstore_status {
    // SAFETY: what the header says of the pointers.
    unsafe {
        set(command, error, |command| {
            command.nano_cpus(nano_cpus);
            Ok(())
        })
    }
}

/// How many bytes of memory it may use, swap included. Beyond that the kernel kills it:
/// DSTORE_OUT_OF_MEMORY.
///
/// Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_command_memory(
    command: *mut dstore_command,
    bytes: i64,
    error: *mut *mut dstore_error,
) -> dstore_status {
    // SAFETY: what the header says of the pointers.
    unsafe {
        set(command, error, |command| {
            command.memory(bytes);
            Ok(())
        })
    }
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
    // SAFETY: what the header says of the pointers.
    unsafe {
        set(command, error, |command| {
            let lease = object(lease, "lease")?;
            command.volume(lease.volume_of_open()?, text(target, "target")?, false);
            Ok(())
        })
    }
}

/// Mounts the engine's volume `name` at `target`, an absolute path. Nothing of the image is copied
/// into it.
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
    // SAFETY: what the header says of the pointers.
    unsafe {
        set(command, error, |command| {
            command.volume(text(name, "name")?, text(target, "target")?, read_only);
            Ok(())
        })
    }
}

/// Mounts `source`, an absolute path on the engine's machine, at `target`, an absolute path.
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
    // SAFETY: what the header says of the pointers.
    unsafe {
        set(command, error, |command| {
            command.bind(text(source, "source")?, text(target, "target")?, read_only);
            Ok(())
        })
    }
}

/// Gives the command a read-only file at `target`, an absolute path, with `length` bytes of
/// content, owned by `uid` and `gid`, and of a mode up to 0777. The content is copied, and is never
/// in the result, the log, the environment or what the engine shows of the container.
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
    // SAFETY: what the header says of the pointers.
    unsafe {
        set(command, error, |command| {
            command.secret(
                text(target, "target")?,
                bytes(content, length, "content")?,
                (uid, gid),
                mode,
            );
            Ok(())
        })
    }
}

/// What the command reads on its standard input: `length` bytes, which are copied. By default
/// nothing.
///
/// Does not block. May be NULL: content, if there is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_command_stdin(
    command: *mut dstore_command,
    content: *const c_char,
    length: usize,
    error: *mut *mut dstore_error,
) -> dstore_status {
    // SAFETY: what the header says of the pointers.
    unsafe {
        set(command, error, |command| {
            command.stdin(bytes(content, length, "content")?);
            Ok(())
        })
    }
}

/// A file of this machine (any bytes) that the command reads on its standard input, opened when the
/// command is run.
///
/// Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_command_stdin_file(
    command: *mut dstore_command,
    path: *const c_char,
    error: *mut *mut dstore_error,
) -> dstore_status {
    // SAFETY: what the header says of the pointers.
    unsafe {
        set(command, error, |command| {
            command.stdin_file(arguments::path(path, "path")?);
            Ok(())
        })
    }
}

/// Ends the command after so many milliseconds, more than 0: DSTORE_TIMED_OUT.
///
/// Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_command_timeout(
    command: *mut dstore_command,
    timeout_ms: u64,
    error: *mut *mut dstore_error,
) -> dstore_status {
    // SAFETY: what the header says of the pointers.
    unsafe {
        set(command, error, |command| {
            command.timeout(timeout(timeout_ms).ok_or_else(|| refused("timeout_ms", "is 0"))?);
            Ok(())
        })
    }
}

/// Whether an exit status other than zero is an answer, not an error. By default it is an error,
/// and the step can then only be aborted.
///
/// Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_command_allow_failure(
    command: *mut dstore_command,
    allow: bool,
    error: *mut *mut dstore_error,
) -> dstore_status {
    // SAFETY: what the header says of the pointers.
    unsafe {
        set(command, error, |command| {
            command.allow_failure(allow);
            Ok(())
        })
    }
}

/// Frees a command. NULL is fine. A run that is under way goes on.
///
/// Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_command_free(command: *mut dstore_command) {
    // SAFETY: what the header says of the pointers.
    unsafe { free(command) }
}
