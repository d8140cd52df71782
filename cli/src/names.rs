//! Names from other programs, on a terminal.

/// A cache's name, which is any bytes: characters that a terminal interprets are escaped.
pub(crate) fn shown(name: &[u8]) -> String {
    let mut text = String::new();
    for chunk in name.utf8_chunks() {
        for c in chunk.valid().chars() {
            // Control characters, invisible ones, and those that change the writing direction.
            let odd = c.is_control()
                || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
            match odd {
                true => text.extend(c.escape_unicode()),
                false => text.push(c),
            }
        }
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}

/// All bytes as hex.
pub(crate) fn hex(name: &[u8]) -> String {
    name.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Returns the bytes of an argument.
pub(crate) fn given(name: std::ffi::OsString) -> Vec<u8> {
    #[cfg(unix)]
    return std::os::unix::ffi::OsStringExt::into_vec(name);
    #[cfg(not(unix))]
    return name.to_string_lossy().into_owned().into_bytes();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_gives_orders_to_a_terminal() {
        assert_eq!(shown("größe".as_bytes()), "größe");
        assert_eq!(
            shown(b"a\x1b[2J\n\xff\xe2\x80\xae"),
            "a\\u{1b}[2J\\u{a}\\xff\\u{202e}"
        );
        assert_eq!(hex(b"a\xff"), "61ff");
    }
}
