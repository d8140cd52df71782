//! HTTP/1.1 as far as an engine uses it: one request and one response at a time on each connection, connections that are
//! reused, uploads and downloads of any size, and an upgrade from HTTP to a bare stream for attached containers.
//!
//! [`Client::send`] returns a [`Response`] as soon as its head has arrived. Every call that waits takes a
//! [`Wait`](crate::wait::Wait), and everything runs on the caller's thread.
//!
//! Data from an engine is not trusted: heads and framing have limits, and a truncated response is a failure.

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

/// Why there is no response, or only a part of it.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The request cannot be written as HTTP: a line break in a header, a path segment `..`. Nothing was sent.
    Unsendable(&'static str),
    /// No connection could be opened. Nothing was sent.
    Connect(io::Error),
    /// The request could not be sent completely, and no response says why.
    Send(io::Error),
    /// The connection broke before the end of the response.
    Receive(io::Error),
    /// The connection ended cleanly before the response did.
    CutShort,
    /// What arrived is not an HTTP response.
    Malformed(String),
    /// A part of the response, named here, exceeds a limit of the caller or a general one.
    TooLarge(&'static str),
    /// The source of the request's body failed. The engine saw a truncated body.
    Source(io::Error),
    /// The call's time is over, or it was cancelled.
    Stopped(Stop),
    /// One send or receive stalled for longer than [`Request::stall`] allows.
    Stalled,
}
