//! [`RegistryLogin`]: the credentials for a registry, and how they are passed to an engine, which connects to the registry.

use serde_json::json;

/// A name and password for a registry.
#[derive(Clone, Default)]
pub struct RegistryLogin {
    /// The user; `<token>` for an identity token instead of a password.
    pub user: String,
    /// The password, or the token.
    pub password: String,
    /// The registry's address, as in the image's reference.
    pub server: String,
}

impl std::fmt::Debug for RegistryLogin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RegistryLogin")
            .field("user", &self.user)
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}

impl RegistryLogin {
    /// Returns the value of `X-Registry-Auth`: the JSON of the login in base64url *with* padding, as the engine's decoder
    /// requires.
    pub(crate) fn header(&self) -> String {
        let (password, server) = (&self.password, &self.server);
        let json = match self.user.as_str() {
            "<token>" => json!({ "identitytoken": password, "serveraddress": server }),
            user => json!({ "username": user, "password": password, "serveraddress": server }),
        };
        base64url(json.to_string().as_bytes())
    }
}

/// Returns the value to send without a login. A push without any value is refused.
pub(crate) fn nobody() -> String {
    base64url(b"{}")
}

fn base64url(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let byte = |n: usize| usize::from(group.get(n).copied().unwrap_or_default());
        let word = byte(0) << 16 | byte(1) << 8 | byte(2);
        for digit in 0..4 {
            let value = word >> (18 - 6 * digit) & 63;
            text.push(if digit <= group.len() {
                char::from(DIGITS[value])
            } else {
                '='
            });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64url_is_padded_and_uses_the_urls_alphabet() {
        // RFC 4648, section 10, and the two characters that differ.
        for (bytes, text) in [
            (&b""[..], ""),
            (b"f", "Zg=="),
            (b"fo", "Zm8="),
            (b"foo", "Zm9v"),
            (b"foob", "Zm9vYg=="),
            (b"\xfb\xff", "-_8="),
        ] {
            assert_eq!(base64url(bytes), text);
        }
    }

    #[test]
    fn a_password_is_not_in_a_debug_line() {
        let login = RegistryLogin {
            user: "u".into(),
            password: "hunter2".into(),
            server: "s".into(),
        };
        assert!(!format!("{login:?}").contains("hunter2"));
    }
}
