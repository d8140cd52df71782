//! Caches on a real engine, the same tests for both strategies and for both ways to reach the volumes: what a lease is, which
//! release wins, what survives, what a kill at any instant leaves, what an outside removal does.
#![allow(unreachable_pub)]

mod common;

mod caches {
    mod contract;
    mod files;
    mod ground;
    mod snapshot;
}
