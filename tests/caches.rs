//! Caches on a real engine, the same tests for both strategies and for both ways to reach the volumes: what a lease is, which
//! release wins, what survives, what a kill at any instant leaves, what an outside removal does.
//!
//! Some run longer where the environment asks for it: `DOCKER_STORE_TEST_KILLS=500`, `…_SECONDS=60`, `…_RELEASES=1000`,
//! `…_CASES=100`.
#![allow(unreachable_pub)]

mod common;

mod caches {
    mod chain;
    mod children;
    mod contract;
    mod crowd;
    mod files;
    mod ground;
    mod kill;
    mod model;
    mod outside;
    mod snapshot;
}
