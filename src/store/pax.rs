//! Extended headers of a tar stream (POSIX `pax`): records of a key and a value, for what does not fit into a header.

use tar::{EntryType, Header};

/// The unit of every tar stream.
pub(crate) const BLOCK: usize = 512;

/// Returns the key and the value of the first record, and the rest. A value is any bytes, including line breaks: its length
/// determines its end.
pub(crate) fn record(text: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let digits = text.iter().position(|b| *b == b' ')?;
    let length: usize = std::str::from_utf8(&text[..digits]).ok()?.parse().ok()?;
    let line = text.get(digits + 1..length)?.strip_suffix(b"\n")?;
    let equals = line.iter().position(|b| *b == b'=')?;
    Some((&line[..equals], &line[equals + 1..], &text[length..]))
}

/// Adds a record: its length, which counts itself, the key and the value.
pub(crate) fn add(records: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let rest = key.len() + value.len() + " =\n".len();
    let mut length = rest + 1;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    records.extend(format!("{length} ").into_bytes());
    records.extend(key);
    records.push(b'=');
    records.extend(value);
    records.push(b'\n');
}

/// Returns the extended header of these records: it precedes the header of the entry that it is about.
pub(crate) fn header(records: &[u8]) -> Vec<u8> {
    let mut header = Header::new_ustar();
    header.as_mut_bytes()[..3].copy_from_slice(b"pax");
    header.set_entry_type(EntryType::XHeader);
    header.set_mode(0o644);
    header.set_size(records.len() as u64);
    header.set_cksum();
    let mut whole = header.as_bytes().to_vec();
    whole.extend(records);
    whole.resize(whole.len().next_multiple_of(BLOCK), 0);
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pax(key: &[u8], value: &[u8]) -> Vec<u8> {
        let mut records = Vec::new();
        add(&mut records, key, value);
        records
    }

    #[test]
    fn records_of_an_extended_header_are_any_bytes() {
        for value in [
            &b""[..],
            b"=",
            b"a\nb=c\n",
            &[b'x'; 92],
            &[b'x'; 93],
            &[0, 255, 10],
        ] {
            let text = [pax(b"SCHILY.xattr.x", value), pax(b"uid", b"7")].concat();
            let (key, read, rest) = record(&text).expect("a record");
            assert_eq!((key, read), (&b"SCHILY.xattr.x"[..], value));
            assert_eq!(record(rest), Some((&b"uid"[..], &b"7"[..], &b""[..])));
        }
        for broken in [
            "",
            "x",
            "9999 a=b\n",
            "0 a=b\n",
            "1 a=b\n",
            "6 a=b",
            "5 ab\n",
            "18446744073709551615 a=b\n",
        ] {
            assert_eq!(record(broken.as_bytes()), None, "{broken:?}");
        }
    }

    #[test]
    fn a_record_counts_its_own_length() {
        for (value, expected) in [
            (&b"x"[..], "9 path=x\n".to_owned()),
            (b"12", "11 path=12\n".to_owned()),
            (&[b'a'; 90], format!("99 path={}\n", "a".repeat(90))),
            (&[b'a'; 91], format!("101 path={}\n", "a".repeat(91))),
        ] {
            let mut records = Vec::new();
            add(&mut records, b"path", value);
            assert_eq!(records, expected.as_bytes());
            assert_eq!(
                expected.split(' ').next(),
                Some(expected.len().to_string().as_str())
            );
        }
    }
}
