//! The code that keeps other tests from waiting forever.

mod common;

use std::process::Command;
use std::sync::mpsc::channel;
use std::time::Duration;

use common::patience::{Watch, ended};

#[test]
fn a_test_that_is_not_over_in_time_is_named() {
    let (tell, told) = channel();
    let watch = Watch::for_at_most(Duration::from_millis(20), move |said| {
        tell.send(said.to_owned()).expect("heard");
    });
    let said = told.recv_timeout(Duration::from_secs(20)).expect("told");
    assert!(
        said.contains("a_test_that_is_not_over_in_time_is_named"),
        "{said}"
    );
    drop(watch);
}

#[test]
fn a_test_that_is_over_is_not_named() {
    let (tell, told) = channel();
    drop(Watch::for_at_most(Duration::from_secs(20), move |said| {
        let _ = tell.send(said.to_owned());
    }));
    // The watch was dropped, and its callback with it.
    told.recv_timeout(Duration::from_secs(10))
        .expect_err("told of a test that is over");
}

#[test]
fn the_end_of_a_process_is_waited_for() {
    let mut child = Command::new("sh")
        .args(["-c", "sleep 0.2; exit 3"])
        .spawn()
        .expect("sh");
    assert_eq!(ended(&mut child, "sh").code(), Some(3));
}
