//! Caches on a real engine, the same tests for both strategies and for both ways to access the volumes: what a lease is, which
//! release wins, what survives, what is left after a kill at any time, and what happens if volumes are removed by other
//! programs.
//!
//! Some do more if `DOCKER_STORE_TEST_LONG` is set: 520 kills, a crowd for a minute, a thousand releases.
#![allow(unreachable_pub)]

mod common;

mod caches {
    mod beside;
    mod chain;
    mod changes;
    mod children;
    mod containers;
    mod contract;
    mod crowd;
    mod cuts;
    mod depth;
    mod faults;
    mod files;
    mod ghosts;
    mod ground;
    mod in_use;
    mod kill;
    mod kill_writing;
    mod listing;
    mod model;
    mod outside;
    mod power;
    mod remapped;
    mod snapshot;
    mod workloads;
}
