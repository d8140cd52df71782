//! Engines that do not exist, are not engines, fail in the middle or hang: a clear error, in time, nothing recorded, nothing
//! lost.
//!
//! Some do more if `DOCKER_STORE_TEST_LONG` is set: every fault at every call of every operation.
#![allow(unreachable_pub)]

mod common;

mod faults {
    mod cells;
    mod ends;
    mod engines;
    mod keeping;
    mod matrix;
    mod operations;
    mod restarts;
}
