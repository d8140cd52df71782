//! Responses that are one JSON value, read with a limit on the memory of this process, whatever the engine sends.
//!
//! A short response is read completely; a long one is parsed as it arrives, so that fields that are not needed are never in
//! memory.

use std::fmt;
use std::io::{self, BufReader, Cursor, Read};
use std::marker::PhantomData;

use serde::de::{Deserialize, DeserializeOwned, Deserializer, Error as _, SeqAccess, Visitor};

use crate::http::{Failure, Response};
use crate::wait::Wait;

/// The maximum size of a response: an engine with ten thousand images lists them in some megabytes.
pub(super) const LONGEST: usize = 128 << 20;

/// A response of up to this size, as most are, is read completely: that is faster.
const SHORT: usize = 64 << 10;

/// The maximum number of entries in a list. What is kept of an entry is some hundred bytes. So a list takes up to some tens of
/// megabytes, and is twenty times as long as that of an engine with ten thousand images.
const MOST_ENTRIES: usize = 200_000;

/// Why there is no value.
pub(super) enum Fault {
    Failure(Failure),
    Senseless(serde_json::Error),
}

/// Reads the value in `response`.
pub(super) fn value<T: DeserializeOwned>(
    mut response: Response,
    wait: Wait<'_>,
) -> Result<T, Fault> {
    let mut first = vec![0; 8 << 10];
    let mut filled = 0;
    loop {
        match response
            .read(&mut first[filled..], wait)
            .map_err(Fault::Failure)?
        {
            0 => return serde_json::from_slice(&first[..filled]).map_err(Fault::Senseless),
            n => filled += n,
        }
        if filled >= SHORT {
            break;
        }
        if filled == first.len() {
            first.resize(filled * 2, 0);
        }
    }
    first.truncate(filled);
    let mut rest = Rest {
        response,
        wait,
        left: LONGEST - filled,
        failure: None,
    };
    let parsed = {
        let reader = BufReader::with_capacity(SHORT, Cursor::new(first).chain(&mut rest));
        serde_json::from_reader(reader)
    };
    match rest.failure {
        Some(failure) => Err(Fault::Failure(failure)),
        None => parsed.map_err(Fault::Senseless),
    }
}

/// The rest of the response.
struct Rest<'a> {
    response: Response,
    wait: Wait<'a>,
    left: usize,
    /// The actual error: a reader can only report that there was one.
    failure: Option<Failure>,
}

impl Read for Rest<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.response.read(buffer, self.wait);
        let fault = match read {
            Ok(n) if n <= self.left => {
                self.left -= n;
                return Ok(n);
            }
            Ok(_) => Failure::TooLarge("body"),
            Err(failure) => failure,
        };
        self.failure = Some(fault);
        Err(io::Error::other("the response ended early"))
    }
}

/// A list, with a limit on the number of entries that no engine exceeds.
pub(super) struct List<T>(pub(super) Vec<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Entries(PhantomData))
    }
}

struct Entries<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Entries<T> {
    type Value = List<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of up to {MOST_ENTRIES} entries")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<List<T>, A::Error> {
        let mut list = Vec::new();
        while let Some(entry) = entries.next_element()? {
            if list.len() == MOST_ENTRIES {
                return Err(A::Error::custom(format!(
                    "a list of more than {MOST_ENTRIES} entries"
                )));
            }
            list.push(entry);
        }
        Ok(List(list))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_without_an_end_is_refused_before_it_takes_all_memory() {
        let list = |n: usize| format!("[{}0]", "0,".repeat(n - 1));
        let read = |n| serde_json::from_str::<List<u8>>(&list(n)).map(|list| list.0.len());
        assert_eq!(read(MOST_ENTRIES).expect("the longest"), MOST_ENTRIES);
        assert!(read(MOST_ENTRIES + 1).is_err());
        assert!(serde_json::from_str::<List<u8>>("{}").is_err());
    }
}
