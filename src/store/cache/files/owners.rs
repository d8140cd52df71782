//! Owners as the engine's archive calls report them. An engine that runs its containers in a user namespace accepts the
//! container's numbers and reports the host's: what is read from one volume could not be written to another.

use serde::{Deserialize, Serialize};

/// The owner that a container sees for files of an unmapped user.
const NOBODY: u32 = 65_534;

/// How much higher the reported numbers are than the accepted ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Owners {
    pub(crate) users: u32,
    pub(crate) groups: u32,
}

impl Owners {
    /// Determined from the pairs `(accepted, reported)`; `None` if they do not differ by a constant, or the reported numbers
    /// are lower.
    pub(crate) fn of(pairs: impl IntoIterator<Item = ((u32, u32), (u32, u32))>) -> Option<Self> {
        let shift = |(taken, given): ((u32, u32), (u32, u32))| {
            Some(Owners {
                users: given.0.checked_sub(taken.0)?,
                groups: given.1.checked_sub(taken.1)?,
            })
        };
        let mut shifts = pairs.into_iter().map(shift);
        let first = shifts.next()??;
        shifts.all(|other| other == Some(first)).then_some(first)
    }

    /// Returns the container's number for the host's user `number`.
    pub(crate) fn user(self, number: u64) -> u32 {
        below(number, self.users)
    }

    /// Returns the container's number for the host's group `number`.
    pub(crate) fn group(self, number: u64) -> u32 {
        below(number, self.groups)
    }
}

fn below(number: u64, shift: u32) -> u32 {
    let shifted = number.checked_sub(shift.into());
    shifted.and_then(|n| n.try_into().ok()).unwrap_or(NOBODY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shift_is_one_for_all_and_upwards() {
        let shift =
            |pairs: &[(u32, u32)]| Owners::of(pairs.iter().map(|(a, b)| ((*a, *a), (*b, *b))));
        assert_eq!(shift(&[(0, 0), (1000, 1000)]), Some(Owners::default()));
        let higher = Owners {
            users: 100_000,
            groups: 100_000,
        };
        assert_eq!(shift(&[(0, 100_000), (1000, 101_000)]), Some(higher));
        assert_eq!(shift(&[(0, 100_000), (1000, 300_000)]), None);
        assert_eq!(shift(&[(0, 0), (1000, 0)]), None);
        assert_eq!(shift(&[]), None);
    }
}
