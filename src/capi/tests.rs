//! The boundary's own tests: no engine, and small enough for miri.

use std::ffi::{CStr, c_char, c_void};
use std::io::{Read, Write};
use std::ptr;
use std::sync::Arc;
use std::time::Duration;

use crate::capi::boundary::{Argument, Call, infallible};
use crate::capi::build::dstore_outcome::*;
use crate::capi::callback::{
    Sink, Source, dstore_channel::*, dstore_read_callback, dstore_write_callback,
};
use crate::capi::cancel::*;
use crate::capi::command::*;
use crate::capi::destroy::dstore_remnant::*;
use crate::capi::error::*;
use crate::capi::fallible::answer;
use crate::capi::handle::{Exclusive, Handle, Poison, give, hold, take_back};
use crate::capi::item::dstore_fate::*;
use crate::capi::item::dstore_item::*;
use crate::capi::lease::{dstore_cache_mode::*, dstore_released::*};
use crate::capi::log::dstore_log_level::*;
use crate::capi::options::{dstore_strategy::*, *};
use crate::capi::pins::dstore_went::*;
use crate::capi::publish::dstore_image_format::*;
use crate::capi::settings::set;
use crate::capi::status::dstore_status::{self, *};
use crate::capi::upkeep::dstore_counter::*;
use crate::error::{Error, ErrorKind};

/// Runs a call with an output parameter for its error, and returns its status and the error's message.
fn told(call: impl FnOnce(*mut *mut dstore_error) -> dstore_status) -> (dstore_status, String) {
    let mut error = ptr::dangling_mut();
    let status = call(&raw mut error);
    // SAFETY: the call has set `error` to NULL or to an error object, which is freed once.
    unsafe {
        assert_eq!(dstore_error_status(error), status);
        let message = dstore_error_message(error);
        let message = if message.is_null() {
            String::new()
        } else {
            CStr::from_ptr(message).to_string_lossy().into()
        };
        dstore_error_free(error);
        (status, message)
    }
}

#[test]
fn handles_cross_threads() {
    fn crosses<T: Send + Sync>() {}
    crosses::<crate::capi::store::dstore_store>();
    crosses::<crate::capi::step::dstore_step>();
    crosses::<crate::capi::lease::dstore_lease>();
    crosses::<crate::capi::results::dstore_results>();
    crosses::<crate::capi::cache::dstore_caches>();
    crosses::<dstore_command>();
    crosses::<dstore_options>();
    crosses::<dstore_cancel>();
    crosses::<dstore_error>();
}

#[test]
fn an_error_says_all_that_is_known() {
    let failure = || {
        Error::new(ErrorKind::Engine, "a\0b")
            .with_http_status(500)
            .with_os_errno(Some(5))
            .with_exit_code(3)
    };
    let mut error = ptr::null_mut();
    // SAFETY: `error` is ours.
    unsafe {
        assert_eq!(answer(&raw mut error, || Err(failure())), DSTORE_ENGINE);
        assert_eq!(CStr::from_ptr(dstore_error_message(error)), c"a\\u{0}b");
        assert_eq!(dstore_error_http_status(error), 500);
        assert_eq!(dstore_error_os_errno(error), 5);
        assert_eq!(dstore_error_exit_code(error), 3);
        dstore_error_free(error);
        // Without an output parameter for the error, only the status is returned.
        assert_eq!(answer(ptr::null_mut(), || Err(failure())), DSTORE_ENGINE);
    }
}

#[test]
fn a_panic_is_a_status_and_spoils_its_handle_alone() {
    let options = dstore_options_new();
    let other = dstore_options_new();
    // SAFETY: the handles are alive until they are freed at the end.
    unsafe {
        let (status, why) = told(|error| set(options, error, |_| panic!("by {}", "accident")));
        assert_eq!(
            (status, why.as_str()),
            (
                DSTORE_INTERNAL,
                "an internal error in docker-store: by accident"
            )
        );
        let (status, why) = told(|error| dstore_options_sync(options, true, error));
        assert_eq!(status, DSTORE_INTERNAL);
        assert!(why.contains("can only be freed"), "{why}");
        assert_eq!(dstore_options_sync(other, true, ptr::null_mut()), DSTORE_OK);
        let fault = |text: &str| -> i32 { panic!("{text}") };
        assert_eq!(infallible!(7, || fault("again")), 7);
        dstore_options_free(options);
        dstore_options_free(other);
    }
}

#[test]
fn a_shared_handle_is_spoiled_by_a_panic_too_but_not_by_the_hosts() {
    let poison = Poison::default();
    let fault = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        struct CallsOnUnwind<'a>(&'a Poison);
        impl Drop for CallsOnUnwind<'_> {
            fn drop(&mut self) {
                drop(self.0.enter("store").expect("not spoiled"));
            }
        }
        let _host = CallsOnUnwind(&poison);
        panic!("the host's own");
    }));
    assert!(fault.is_err() && poison.enter("store").is_ok());
    // SAFETY: no output parameter for an error.
    let status = unsafe {
        answer(ptr::null_mut(), || {
            let _entered = poison.enter("store")?;
            panic!("ours");
        })
    };
    assert_eq!(status, DSTORE_INTERNAL);
    assert_eq!(
        poison.enter("store").err().map(|e| e.kind()),
        Some(ErrorKind::Internal)
    );
}

#[test]
fn a_handle_in_use_is_busy_and_may_even_be_freed() {
    let options = dstore_options_new();
    // SAFETY: the handle is valid until it is freed; the call in progress then retains it.
    unsafe {
        let outer = set(options, ptr::null_mut(), |_| {
            let (status, why) = told(|error| dstore_options_sync(options, true, error));
            assert_eq!(status, DSTORE_BUSY);
            assert!(why.contains("in use"), "{why}");
            dstore_options_free(options);
            Ok(())
        });
        assert_eq!(outer, DSTORE_OK);
    }
}

#[test]
fn a_second_thread_is_told_that_a_handle_is_in_use() {
    let value = Exclusive::new("step", 1);
    let inside = value.enter().expect("free");
    std::thread::scope(|scope| {
        let other = scope.spawn(|| value.enter().map(|_| ()).map_err(|e| e.kind()));
        assert_eq!(other.join().expect("no panic"), Err(ErrorKind::Busy));
    });
    drop(inside);
    assert!(value.enter().is_ok());
}

/// Each output parameter for an object that C will own is NULL after a failure, even if another argument, before or after it,
/// failed.
#[test]
fn places_for_objects_are_cleared_whatever_else_is_wrong() {
    let mut reason = ptr::dangling_mut::<c_char>();
    let mut command = ptr::dangling_mut::<dstore_command>();
    // SAFETY: the output parameters are ours, and everything else is NULL.
    unsafe {
        let (status, why) = told(|error| {
            crate::capi::cache::dstore_store_strategy(
                ptr::null(),
                ptr::null_mut(),
                &raw mut reason,
                error,
            )
        });
        assert_eq!(
            (status, why.as_str()),
            (DSTORE_INVALID_ARGUMENT, "the argument store is NULL")
        );
        let (status, _) = told(|error| dstore_command_new(ptr::null(), 1, &raw mut command, error));
        assert_eq!(status, DSTORE_INVALID_ARGUMENT);
    }
    assert!(reason.is_null() && command.is_null());
}

#[test]
fn handles_are_counted() {
    struct Seven(i32);
    impl Handle for Seven {}
    let object = give(Seven(7));
    // SAFETY: one `take_back` for one `give`.
    unsafe {
        let seven = hold(object);
        assert_eq!(Arc::strong_count(&seven), 2);
        drop(take_back(object));
        assert_eq!((seven.0, Arc::strong_count(&seven)), (7, 1));
    }
}

#[test]
fn a_setter_that_failed_is_told_by_the_use() {
    let argv = [c"true".as_ptr()];
    let mut command = ptr::null_mut();
    // SAFETY: the arguments are what they say; the command is freed at the end.
    unsafe {
        assert_eq!(
            dstore_command_new(argv.as_ptr(), 1, &raw mut command, ptr::null_mut()),
            DSTORE_OK
        );
        let (status, why) =
            told(|error| dstore_command_env(command, c"A".as_ptr(), c"\xff".as_ptr(), error));
        assert_eq!(
            (status, why.as_str()),
            (DSTORE_INVALID_ARGUMENT, "the argument value is not UTF-8")
        );
        let (status, _) = told(|error| dstore_command_timeout(command, 0, error));
        assert_eq!(status, DSTORE_INVALID_ARGUMENT);
        let used = crate::capi::settings::Settable::settings(&*hold(command))
            .get()
            .expect_err("refused");
        assert_eq!(
            used.message(),
            "a setter failed before: the argument value is not UTF-8"
        );
        dstore_command_free(command);

        let argv = [c"true".as_ptr(), ptr::null()];
        let (status, why) =
            told(|error| dstore_command_new(argv.as_ptr(), 2, &raw mut command, error));
        assert_eq!(
            (status, why.as_str()),
            (DSTORE_INVALID_ARGUMENT, "the argument argv[1] is NULL")
        );
        assert!(command.is_null());
    }
}

/// What C passes in arrives as if Rust had set it: arrays, bytes that are not text, and NULL where it is allowed.
#[test]
fn a_command_is_what_its_setters_say() {
    let mut ours = crate::Command::new(["echo", "a b"]);
    ours.entrypoint(["/bin/sh", "-c"]).arg("c").cwd("/src");
    ours.env("A", "1").user("build").hostname("h");
    ours.network("host").nano_cpus(5).memory(6);
    ours.volume("v", "/v", true).bind("/b", "/b", false);
    ours.secret("/s", *b"abc", (1, 2), 0o400);
    ours.secret("/none", [], (0, 0), 0);
    ours.stdin(*b"i\xff\0").timeout(Duration::from_millis(7));
    ours.allow_failure(true);

    let words = [c"echo".as_ptr(), c"a b".as_ptr()];
    let entrypoint = [c"/bin/sh".as_ptr(), c"-c".as_ptr()];
    let (none, mut it) = (ptr::null_mut(), ptr::null_mut());
    // SAFETY: the arguments are what they say; the command is freed at the end.
    unsafe {
        let text = |text: &'static CStr| text.as_ptr();
        let done = [
            dstore_command_new(words.as_ptr(), 2, &raw mut it, none),
            dstore_command_entrypoint(it, entrypoint.as_ptr(), 2, none),
            dstore_command_arg(it, text(c"c"), none),
            dstore_command_cwd(it, text(c"/src"), none),
            dstore_command_env(it, text(c"A"), text(c"1"), none),
            dstore_command_user(it, text(c"build"), none),
            dstore_command_hostname(it, text(c"h"), none),
            dstore_command_network(it, text(c"host"), none),
            dstore_command_nano_cpus(it, 5, none),
            dstore_command_memory(it, 6, none),
            dstore_command_volume(it, text(c"v"), text(c"/v"), true, none),
            dstore_command_bind(it, text(c"/b"), text(c"/b"), false, none),
            dstore_command_secret(it, text(c"/s"), text(c"abc"), 3, 1, 2, 0o400, none),
            dstore_command_secret(it, text(c"/none"), ptr::null(), 0, 0, 0, 0, none),
            dstore_command_stdin(it, text(c"i\xff"), 3, none),
            dstore_command_timeout(it, 7, none),
            dstore_command_allow_failure(it, true, none),
        ];
        assert!(done.iter().all(|&status| status == DSTORE_OK), "{done:?}");
        let set = crate::capi::settings::Settable::settings(&*hold(it)).get();
        assert_eq!(
            format!("{:?}", set.expect("none failed")),
            format!("{ours:?}")
        );
        dstore_command_free(it);
    }
}

#[test]
fn a_switch_is_seen_by_all() {
    let cancel = dstore_cancel_new();
    // SAFETY: the handle is alive until it is freed.
    unsafe {
        std::thread::scope(|scope| {
            let cancel = &*cancel;
            scope.spawn(move || dstore_cancel_trigger(cancel));
        });
        assert!(dstore_cancel_is_triggered(cancel));
        dstore_cancel_free(cancel);
    }
}

unsafe extern "C" fn read_three(
    user_data: *mut c_void,
    buffer: *mut c_char,
    capacity: usize,
    length: *mut usize,
) -> i32 {
    // SAFETY: the test passes a counter, and the caller a buffer of `capacity`.
    unsafe {
        let calls = &mut *user_data.cast::<i32>();
        *calls += 1;
        match *calls {
            1 => {
                assert!(capacity >= 3 && *length == 0);
                ptr::copy_nonoverlapping(c"abc".as_ptr(), buffer, 3);
                *length = 3;
                0
            }
            2 => {
                *length = capacity + 1;
                0
            }
            _ => 9,
        }
    }
}

#[test]
fn a_read_callback_is_a_stream_that_may_say_no_and_may_not_lie() {
    let (mut calls, call) = (0_i32, Call::new());
    let mut buffer = [0; 8];
    for expected in [None, Some("8"), Some("returned 9")] {
        // SAFETY: the callback may be called with the counter.
        let source: Source<'_> = unsafe {
            let callback: dstore_read_callback = Some(read_three);
            Argument::take((callback, (&raw mut calls).cast()), "read", &call)
        }
        .expect("a callback");
        let mut read = Ok(0);
        let judged = source.during(|source| {
            read = source.read(&mut buffer);
            Err::<(), _>(Error::new(ErrorKind::Io, "what came of it"))
        });
        let error = judged.expect_err("an error in any case");
        match expected {
            None => assert_eq!(
                (read.ok(), &buffer[..3], error.kind()),
                (Some(3), &b"abc"[..], ErrorKind::Io)
            ),
            Some(part) => {
                assert_eq!(error.kind(), ErrorKind::Callback);
                assert!(error.message().contains(part), "{error}");
            }
        }
    }
}

unsafe extern "C" fn write_once(
    user_data: *mut c_void,
    bytes: *const c_char,
    length: usize,
) -> i32 {
    // SAFETY: the test passes a vector, and the caller `length` bytes.
    unsafe {
        let written = &mut *user_data.cast::<Vec<u8>>();
        written.extend_from_slice(std::slice::from_raw_parts(bytes.cast(), length));
        i32::from(written.len() > 3)
    }
}

#[test]
fn a_write_callback_is_a_stream_that_may_say_no() {
    let (mut written, call) = (Vec::<u8>::new(), Call::new());
    // SAFETY: the callback may be called with the vector.
    let sink: Sink<'_> = unsafe {
        let callback: dstore_write_callback = Some(write_once);
        Argument::take((callback, (&raw mut written).cast()), "write", &call)
    }
    .expect("a callback");
    let judged = sink.during(|sink| {
        sink.write_all(b"").expect("nothing to say no to");
        sink.write_all(b"abc").expect("taken");
        assert!(sink.write_all(b"d").is_err());
        Ok(())
    });
    assert_eq!(judged.map_err(|e| e.kind()), Err(ErrorKind::Callback));
    assert_eq!(written, b"abcd");
}

/// The numbers that a C program is compiled with; `tests/capi_c.rs` checks the other side.
#[test]
fn numbers_are_those_of_the_abi() {
    macro_rules! numbers {
        ($($name:ident)*) => { [$((stringify!($name), $name as i32)),*] };
    }
    let ours = numbers! {
        DSTORE_OK DSTORE_INVALID_ARGUMENT DSTORE_NOT_FOUND DSTORE_CONFLICT DSTORE_IN_PROGRESS DSTORE_BUSY
        DSTORE_CANCELLED DSTORE_TIMED_OUT DSTORE_UNREACHABLE DSTORE_UNSUPPORTED DSTORE_ENGINE DSTORE_CUT_SHORT
        DSTORE_IO DSTORE_COMMAND_FAILED DSTORE_OUT_OF_MEMORY DSTORE_CALLBACK DSTORE_CLOSED DSTORE_CORRUPT
        DSTORE_INTERNAL DSTORE_OUTCOME_UNKNOWN DSTORE_KILLED DSTORE_NOT_STARTED DSTORE_HIT DSTORE_BUILT DSTORE_RELEASE_WON
        DSTORE_RELEASE_LOST DSTORE_RELEASE_UNCHANGED DSTORE_RELEASE_SHARED DSTORE_RELEASE_TOO_LARGE
        DSTORE_STRATEGY_AUTOMATIC DSTORE_STRATEGY_OVERLAY DSTORE_STRATEGY_COPY DSTORE_WENT_UNKNOWN DSTORE_WENT_DELETED
        DSTORE_WENT_PRUNED DSTORE_WENT_VANISHED DSTORE_STDOUT DSTORE_STDERR DSTORE_CACHE_PRIVATE DSTORE_CACHE_LOCKED
        DSTORE_CACHE_SHARED DSTORE_COUNT_RESULT_HITS DSTORE_COUNT_RESULT_MISSES DSTORE_COUNT_RESULTS_COMMITTED
        DSTORE_COUNT_CACHE_HITS DSTORE_COUNT_CACHE_MISSES DSTORE_COUNT_CLONES_OVERLAY DSTORE_COUNT_CLONES_COPY
        DSTORE_COUNT_BYTES_COPIED DSTORE_COUNT_CLONE_NANOSECONDS DSTORE_COUNT_RELEASE_NANOSECONDS
        DSTORE_COUNT_RELEASES_WON DSTORE_COUNT_RELEASES_LOST DSTORE_COUNT_RELEASES_UNCHANGED
        DSTORE_COUNT_DEFERRED_DELETES DSTORE_COUNT_RELEASES_TOO_LARGE DSTORE_IMAGE_DOCKER DSTORE_IMAGE_OCI
        DSTORE_LOG_OFF DSTORE_LOG_ERROR DSTORE_LOG_WARNING DSTORE_LOG_INFO DSTORE_LOG_DEBUG DSTORE_LOG_TRACE
        DSTORE_REMNANT_CONTAINER DSTORE_REMNANT_IMAGE DSTORE_REMNANT_VOLUME DSTORE_REMNANT_FILE DSTORE_REMNANT_ENGINE
        DSTORE_ITEM_RESULT DSTORE_ITEM_CACHE DSTORE_ITEM_LOG DSTORE_FATE_REMOVED DSTORE_FATE_GONE DSTORE_FATE_SPARED
        DSTORE_FATE_FAILED
    };
    let kept = include_str!("../../abi/values.txt")
        .lines()
        .filter_map(|line| line.split_once(' '));
    let kept = kept.filter(|(name, _)| name.starts_with("DSTORE_"));
    let kept: Vec<(&str, i32)> = kept
        .map(|(name, value)| (name, value.parse().expect("a number")))
        .collect();
    assert_eq!(kept, ours);
}
