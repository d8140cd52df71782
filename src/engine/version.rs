//! Versions of the Engine API.

use std::fmt;

/// A version of the Engine API, such as 1.41.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ApiVersion(u32, u32);

impl ApiVersion {
    /// The oldest API version that this library supports: Docker 20.10's, and Podman 4's.
    pub(crate) const OLDEST: ApiVersion = ApiVersion(1, 41);
    /// Docker 25's, in which containerd's image store is no longer an experiment.
    pub(crate) const CONTAINERD_IMAGES: ApiVersion = ApiVersion(1, 44);
    /// The newest that it was written against. Engines up to API 1.52 still accept it (their minimum is 1.44).
    pub(crate) const NEWEST: ApiVersion = ApiVersion(1, 47);

    /// Parses `MAJOR.MINOR`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (major, minor) = text.trim().split_once('.')?;
        Some(ApiVersion(major.parse().ok()?, minor.parse().ok()?))
    }
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

#[cfg(test)]
mod tests {
    use super::ApiVersion;

    #[test]
    fn versions_compare_as_numbers_not_as_text() {
        let of = |text| ApiVersion::parse(text).expect("a version");
        assert!(of("1.9") < of("1.41") && of("1.41") < of("1.100") && of("1.100") < of("2.0"));
        assert_eq!(of(" 1.41\r").to_string(), "1.41");
        for text in ["", "1", "1.", "a.b", "1.2.3", "-1.2"] {
            assert_eq!(ApiVersion::parse(text), None, "{text:?}");
        }
    }
}
