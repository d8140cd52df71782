//! Podman's own error message in the standard error of a command that did not read all of its input, as the very last output:
//! `Error: write unixpacket @->/proc/self/fd/14/attach: write: connection reset by peer`. (Its `pkg/api/handlers/compat/
//! containers_attach.go` reports any error of an attachment like this.) It is not output of the command.

const BEGINS: &[u8] = b"Error: write unix";
const HOLDS: &[u8] = b"/attach: write: ";

/// The maximum length of the message. It consists of a fixed text, two addresses of sockets and an error's words. Anything
/// longer is the command's own output.
const LONGEST: usize = 400;

/// Output that may be such a message: only the end shows whether it is.
#[derive(Debug, Default)]
pub(crate) struct Complaint {
    held: Vec<u8>,
}

impl Complaint {
    /// Receives the next output, and returns it or holds it back. Also returns what was held back before, because more output
    /// shows that it was not the message.
    pub(crate) fn hear(&mut self, is_error: bool, bytes: &[u8]) -> Vec<u8> {
        if is_error {
            let all = [self.held.as_slice(), bytes].concat();
            if may_become_one(&all) {
                self.held = all;
                return Vec::new();
            }
            let earlier = std::mem::take(&mut self.held);
            if may_become_one(bytes) {
                self.held = bytes.to_vec();
            }
            return earlier;
        }
        std::mem::take(&mut self.held)
    }

    /// Returns whether the last output is held back.
    pub(crate) fn is_held(&self) -> bool {
        !self.held.is_empty()
    }

    /// At the end of the output, returns what was held back and is not the message.
    pub(crate) fn at_end(self) -> Vec<u8> {
        let is_one = self.held.ends_with(b"\n") && contains(&self.held, HOLDS);
        match is_one {
            true => {
                log::debug!("{}", String::from_utf8_lossy(&self.held).trim_end());
                Vec::new()
            }
            false => self.held,
        }
    }
}

fn may_become_one(bytes: &[u8]) -> bool {
    let begun = bytes.len().min(BEGINS.len());
    let line_end = bytes.iter().position(|byte| *byte == b'\n');
    bytes.len() <= LONGEST
        && bytes[..begun] == BEGINS[..begun]
        && line_end.is_none_or(|end| end + 1 == bytes.len())
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMPLAINT: &str =
        "Error: write unixpacket @->/proc/self/fd/14/attach: write: connection reset by peer\n";

    /// Returns what a caller receives for these pieces: (is an error, bytes).
    fn heard(pieces: &[(bool, &str)]) -> String {
        let (mut complaint, mut all) = (Complaint::default(), Vec::new());
        for (is_error, piece) in pieces {
            all.extend(complaint.hear(*is_error, piece.as_bytes()));
            if !complaint.is_held() {
                all.extend(piece.as_bytes());
            }
        }
        all.extend(complaint.at_end());
        String::from_utf8(all).expect("text")
    }

    #[test]
    fn what_podman_complains_of_at_the_end_is_not_the_commands_wherever_it_is_cut() {
        assert_eq!(
            heard(&[(false, "out"), (true, "err"), (true, COMPLAINT)]),
            "outerr"
        );
        for cut in 1..COMPLAINT.len() {
            let (first, rest) = COMPLAINT.split_at(cut);
            assert_eq!(heard(&[(true, "err"), (true, first), (true, rest)]), "err");
        }
    }

    #[test]
    fn what_a_command_writes_arrives_whole_and_in_order() {
        let writes = [
            vec![(true, COMPLAINT), (false, "more")],
            vec![(true, COMPLAINT), (true, "more")],
            vec![(true, "E"), (true, "E"), (true, "r")],
            vec![
                (true, "Error: write unix"),
                (false, "x"),
                (true, "Error: wr"),
            ],
            vec![(true, "Error: write unix is hard\n")],
            vec![(true, "Error: write unix\nand more")],
            vec![(true, COMPLAINT), (true, COMPLAINT), (false, "")],
        ];
        for pieces in writes {
            let all: String = pieces.iter().map(|(_, piece)| *piece).collect();
            assert_eq!(heard(&pieces), all, "{pieces:?}");
        }
    }
}
