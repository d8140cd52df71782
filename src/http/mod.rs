//! HTTP/1.1 as far as an engine speaks it: one request and one answer at a time on each connection, connections kept
//! and reused, uploads and downloads of any size, and a way out of HTTP for attached streams.
//!
//! [`Client::send`] gives a [`Response`] as soon as its head has arrived. Every call that waits takes a
//! [`Wait`](crate::wait::Wait), and no thread runs here but the caller's.
//!
//! What an engine sends is not trusted: heads and framing have limits, and an answer that ends before its end is a
//! failure.

mod body;
mod client;
mod connection;
mod head;
mod pool;
mod request;
mod response;
mod sending;
mod target;
#[cfg(test)]
mod testing;
mod upgraded;

pub(crate) use client::Client;
pub(crate) use request::{Body, Method, Request};
pub(crate) use response::Response;
pub(crate) use target::Target;
pub(crate) use upgraded::Upgraded;

use std::io;

use crate::wait::Stop;

/// Why there is no answer, or not all of it.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The request cannot be written as HTTP: a line break in a header, a path segment `..`. Nothing was sent.
    Unsendable(&'static str),
    /// No connection could be opened. Nothing was sent.
    Connect(io::Error),
    /// The request could not be sent whole, and no answer says why.
    Send(io::Error),
    /// The connection broke before the end of the answer.
    Receive(io::Error),
    /// The connection ended, in good order, before the answer did.
    CutShort,
    /// What came is no HTTP answer.
    Malformed(String),
    /// A part of the answer, named here, is longer than what the caller, or any caller, wants.
    TooLarge(&'static str),
    /// The source of the request's body failed. The engine saw a body cut short.
    Source(io::Error),
    /// The call's time is over, or it was cancelled.
    Stopped(Stop),
    /// One send or receive stood still for longer than [`Request::stall`] allows.
    Stalled,
}
