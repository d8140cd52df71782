//! [`Platform`]: which machines an image is for, in the form of `docker pull --platform`.

use crate::engine::images::Image;
use crate::error::{Error, ErrorKind, Result};

/// What engines answer if an image does not exist for a platform: Docker's two image stores, and Podman.
const MISSING: [&str; 3] = [
    "no matching manifest for ",
    "no match for platform in manifest",
    "no image found in ",
];

/// An operating system, an architecture and a variant of it; an empty part matches any.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Platform {
    text: String,
    os: String,
    architecture: String,
    variant: String,
}

impl Platform {
    /// Parses `os/arch` or `os/arch/variant`.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let parts: Vec<&str> = text.split('/').collect();
        let is_word = |part: &&str| {
            let fits = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
            !part.is_empty() && part.chars().all(fits)
        };
        if !(2..=3).contains(&parts.len()) || !parts.iter().all(is_word) {
            let why = format!(
                "{text:?} is not a valid platform: use os/arch or os/arch/variant, such as linux/arm64"
            );
            return Err(Error::new(ErrorKind::InvalidArgument, why));
        }
        let variant = parts.get(2).copied().unwrap_or_default();
        Ok(Platform::new(text, parts[0], parts[1], variant))
    }

    fn new(text: &str, os: &str, architecture: &str, variant: &str) -> Self {
        let (architecture, variant) = (architecture.to_lowercase(), variant.to_lowercase());
        // As in containerd (platforms, `normalizeArch`).
        let (architecture, variant) = match (architecture.as_str(), variant.as_str()) {
            ("x86_64" | "x86-64", variant) => ("amd64", variant),
            ("i386", _) => ("386", ""),
            ("aarch64", variant) => ("arm64", variant),
            ("armhf", _) => ("arm", "v7"),
            ("armel", _) => ("arm", "v6"),
            other => other,
        };
        Platform {
            text: text.to_owned(),
            os: os.to_lowercase(),
            architecture: architecture.to_owned(),
            variant: variant.to_owned(),
        }
    }

    /// Returns whether `image` is for such machines; an image for a lesser variant is, too.
    pub(crate) fn is_of(&self, image: &Image) -> bool {
        let has = Platform::new("", &image.os, &image.architecture, &image.variant);
        let same = (&self.os, &self.architecture) == (&has.os, &has.architecture);
        same && (self.variant.is_empty() || has.level() <= self.level())
    }

    /// Returns the number in a variant; the default number for an image that names none.
    fn level(&self) -> u32 {
        let number = self.variant.trim_start_matches('v').parse().ok();
        number.unwrap_or(match self.architecture.as_str() {
            "arm" => 7,
            "arm64" => 8,
            _ => 1,
        })
    }

    /// Interprets an engine's error of a pull.
    pub(crate) fn missing(&self, reference: &str, error: Error) -> Error {
        match MISSING.iter().any(|said| error.message().contains(said)) {
            true => self.lacks(reference, error.message()),
            false => error,
        }
    }

    /// Returns the error for an engine that pulled `image` although it is for another platform.
    pub(crate) fn other(&self, reference: &str, image: &Image) -> Error {
        let names = [&image.os, &image.architecture, &image.variant];
        let names: Vec<_> = names.into_iter().filter(|name| !name.is_empty()).collect();
        let names: Vec<&str> = names.into_iter().map(String::as_str).collect();
        self.lacks(reference, &format!("it is for {}", names.join("/")))
    }

    fn lacks(&self, reference: &str, why: &str) -> Error {
        Error::new(
            ErrorKind::NotFound,
            format!(
                "image {reference} does not exist for the platform {}: {why}",
                self.text
            ),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(os: &str, architecture: &str, variant: &str) -> Image {
        let json = serde_json::json!({ "Id": "x", "Os": os, "Architecture": architecture, "Variant": variant });
        serde_json::from_value(json).expect("an image")
    }

    #[test]
    fn a_platform_has_two_or_three_parts() {
        for good in ["linux/amd64", "linux/arm/v7", "Linux/X86_64"] {
            assert!(Platform::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "linux",
            "linux/",
            "/amd64",
            "a/b/c/d",
            "linux/a b",
            "linux/a\nb",
            "a//b",
        ] {
            let refused = Platform::parse(bad).expect_err(bad);
            assert_eq!(refused.kind(), ErrorKind::InvalidArgument);
        }
    }

    #[test]
    fn an_image_is_of_a_platform_that_can_run_it() {
        for (wanted, (os, architecture, variant), fits) in [
            ("linux/amd64", ("linux", "amd64", ""), true),
            ("linux/x86_64", ("linux", "amd64", ""), true),
            ("linux/arm64", ("linux", "arm64", "v8"), true),
            ("linux/arm64/v8", ("linux", "arm64", ""), true),
            ("linux/aarch64", ("linux", "arm64", "v8"), true),
            ("linux/arm", ("linux", "arm", "v6"), true),
            ("linux/arm/v7", ("linux", "arm", "v6"), true),
            ("linux/arm/v6", ("linux", "arm", "v7"), false),
            ("linux/arm/v6", ("linux", "arm", ""), false),
            ("linux/arm64", ("linux", "amd64", ""), false),
            ("windows/amd64", ("linux", "amd64", ""), false),
        ] {
            let platform = Platform::parse(wanted).expect("a platform");
            let image = image(os, architecture, variant);
            assert_eq!(platform.is_of(&image), fits, "{wanted} of {image:?}");
        }
    }
}
