//! [`Patterns`]: what is excluded from a directory, in the form of a `.dockerignore`.
//!
//! Interpreted as by Docker (moby/patternmatcher 0.6): the last line that matches a path, or a directory above it, decides. An
//! excluded directory is searched only if a line with `!` starts with its name.

use regex_lite::Regex;

use crate::error::{Error, ErrorKind, Result};

/// The lines, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Patterns(Vec<Rule>);

#[derive(Clone, Debug)]
struct Rule {
    /// Whether it includes again what previous lines have excluded (`!`).
    again: bool,
    pattern: String,
    fits: Fits,
}

/// What a path must match.
#[derive(Clone, Debug)]
enum Fits {
    Exactly,
    Prefix(String),
    Suffix(String),
    Regex(Regex),
}

impl Patterns {
    /// Adds the lines of a `.dockerignore`.
    pub(crate) fn add_file(&mut self, text: &str) -> Result<()> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut lines = text.lines().filter(|line| !line.starts_with('#'));
        lines.try_for_each(|line| self.add(line))
    }

    /// Adds one line, which is not a comment.
    pub(crate) fn add(&mut self, line: &str) -> Result<()> {
        let line = line.trim();
        let (again, rest) = match line.strip_prefix('!') {
            Some(rest) => (true, rest.trim()),
            None => (false, line),
        };
        if rest.is_empty() && !again {
            return Ok(());
        }
        let pattern = clean(rest);
        let fits = match rest {
            "" => None,
            _ => compile(&pattern),
        };
        let Some(fits) = fits else {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                format!("{line:?} is not a valid pattern of a .dockerignore"),
            ));
        };
        self.0.push(Rule {
            again,
            pattern,
            fits,
        });
        Ok(())
    }

    /// Returns whether the file or directory at `path`, its names joined by `/`, is excluded.
    pub(crate) fn leave_out(&self, path: &str) -> bool {
        let mut left_out = false;
        for rule in &self.0 {
            // Otherwise the rule changes nothing.
            if rule.again == left_out && rule.fits_or_holds(path) {
                left_out = !rule.again;
            }
        }
        left_out
    }

    /// Returns whether something in the excluded directory `folder` may be included again.
    pub(crate) fn may_take_in(&self, folder: &str) -> bool {
        let folder = format!("{folder}/");
        let mut again = self.0.iter().filter(|rule| rule.again);
        again.any(|rule| format!("{}/", rule.pattern).starts_with(&folder))
    }
}

impl Rule {
    /// Returns whether it matches `path`, or a directory that contains it.
    fn fits_or_holds(&self, path: &str) -> bool {
        let mut ends = path.match_indices('/').map(|(end, _)| end);
        self.fits(path) || ends.any(|end| self.fits(&path[..end]))
    }

    fn fits(&self, path: &str) -> bool {
        match &self.fits {
            Fits::Exactly => path == self.pattern,
            Fits::Prefix(prefix) => path.starts_with(prefix),
            Fits::Suffix(suffix) => {
                path.ends_with(suffix) || suffix.strip_prefix('/').is_some_and(|name| name == path)
            }
            Fits::Regex(regex) => regex.is_match(path),
        }
    }
}

/// Returns the pattern without `.`, `..`, and leading, trailing or double slashes.
fn clean(pattern: &str) -> String {
    let rooted = pattern.starts_with('/');
    let mut names: Vec<&str> = Vec::new();
    for name in pattern.split('/') {
        match name {
            "" | "." => {}
            ".." if names.last().is_some_and(|last| *last != "..") => drop(names.pop()),
            // The parent of the root is the root.
            ".." if rooted => {}
            name => names.push(name),
        }
    }
    match (names.is_empty(), rooted) {
        (true, true) => "/".to_owned(),
        (true, false) => ".".to_owned(),
        _ => names.join("/"),
    }
}

/// Compiles a cleaned pattern; returns `None` if it has no meaning.
fn compile(pattern: &str) -> Option<Fits> {
    #[derive(PartialEq)]
    enum Kind {
        Exactly,
        Prefix,
        Suffix,
        Regex,
    }
    let mut kind = Kind::Exactly;
    let mut regex = String::from("^");
    let mut chars = pattern.chars().peekable();
    let mut is_first = true;
    while let Some(c) = chars.next() {
        match c {
            '*' if chars.next_if_eq(&'*').is_some() => {
                // `**/` is like `**`: it also matches no directory at all.
                let _ = chars.next_if_eq(&'/');
                match (chars.peek(), &kind) {
                    (None, Kind::Exactly) => kind = Kind::Prefix,
                    (None, _) => {
                        regex.push_str(".*");
                        kind = Kind::Regex;
                    }
                    (Some(_), _) => {
                        regex.push_str("(.*/)?");
                        kind = Kind::Regex;
                    }
                }
                if is_first {
                    kind = Kind::Suffix;
                }
            }
            '*' => {
                regex.push_str("[^/]*");
                kind = Kind::Regex;
            }
            '?' => {
                regex.push_str("[^/]");
                kind = Kind::Regex;
            }
            '[' => {
                class(&mut chars, &mut regex)?;
                kind = Kind::Regex;
            }
            '\\' => {
                literal(chars.next()?, &mut regex);
                kind = Kind::Regex;
            }
            c => literal(c, &mut regex),
        }
        is_first = false;
    }
    regex.push('$');
    Some(match kind {
        Kind::Exactly => Fits::Exactly,
        Kind::Prefix => Fits::Prefix(pattern[..pattern.len() - 2].to_owned()),
        Kind::Suffix => Fits::Suffix(pattern[2..].to_owned()),
        Kind::Regex => Fits::Regex(Regex::new(&regex).ok()?),
    })
}

fn literal(c: char, regex: &mut String) {
    regex.push_str(&regex_lite::escape(c.encode_utf8(&mut [0; 4])));
}

/// Parses the rest of a class after `[`: an optional `^`, then at least one character or range, and `]`.
fn class(chars: &mut std::iter::Peekable<std::str::Chars<'_>>, regex: &mut String) -> Option<()> {
    let one = |chars: &mut std::iter::Peekable<std::str::Chars<'_>>| match chars.next()? {
        '-' | ']' => None,
        '\\' => chars.next(),
        c => Some(c),
    };
    regex.push('[');
    if chars.next_if_eq(&'^').is_some() {
        regex.push('^');
    }
    loop {
        let low = one(chars)?;
        let high = match chars.next_if_eq(&'-') {
            Some(_) => one(chars)?,
            None => low,
        };
        // By their code points, so that no character has a special meaning.
        regex.push_str(&format!(
            "\\x{{{:x}}}-\\x{{{:x}}}",
            u32::from(low),
            u32::from(high)
        ));
        if chars.next_if_eq(&']').is_some() {
            regex.push(']');
            return Some(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left_out(lines: &str, path: &str) -> bool {
        let mut patterns = Patterns::default();
        patterns.add_file(lines).expect("patterns");
        patterns.leave_out(path)
    }

    #[test]
    fn a_pattern_fits_as_docker_has_it() {
        for (pattern, fits, fits_not) in [
            ("a", "a a/b a/b/c", "b/a ab A"),
            ("/a", "a a/b", "b/a"),
            ("./a/../b/", "b b/c", "a a/b"),
            ("*", "a a/b .a", ""),
            ("*.o", "x.o .o x.o/y", "a/x.o xo"),
            ("a/*", "a/b a/b/c", "a b/a/c"),
            ("*/b", "a/b a/b/c", "b a/c/b"),
            ("**", "a a/b", ""),
            ("**/b", "b a/b a/c/b b/x", "ab a/bc"),
            ("**b", "b ab a/b a/cb", "bc a/bc"),
            ("a/**", "a/b a/b/c", "a b"),
            ("a**", "a ab a/b ab/c", "ba"),
            ("a/**/b", "a/b a/x/b a/x/y/b a/b/z", "a/x ab"),
            ("**/*.o", "x.o a/x.o a/b/x.o", "x.c"),
            ("**/x/**", "x/a b/x/a", "x b/x"),
            ("?", "a b/", "ab"),
            ("a?b", "axb aäb", "a/b ab axxb"),
            ("[a-c]x", "ax bx", "dx x"),
            ("[^a]x", "bx", "ax x"),
            ("[!a]x", "!x ax", "bx"),
            ("[a\\]]x", "ax ]x", "x"),
            ("[&&a]", "& a", "b"),
            ("\\*", "*", "a"),
            ("a+(b).{c}|$", "a+(b).{c}|$", "aab"),
            ("a.*", "a.b", "axb"),
            ("^a", "^a", "a"),
            ("..", "", "a"),
            (".", "", "a"),
            ("/", "", "a"),
        ] {
            for path in fits.split_whitespace() {
                assert!(
                    left_out(pattern, path.trim_end_matches('/')),
                    "{pattern} and {path}"
                );
            }
            for path in fits_not.split_whitespace() {
                assert!(!left_out(pattern, path), "{pattern} and {path}");
            }
        }
    }

    #[test]
    fn the_last_line_that_fits_decides() {
        let lines = "# a comment\n\n  *.md \n!README.md\nREADME.md\n! /KEEP.md\n#x\n";
        for (path, out) in [
            ("a.md", true),
            ("README.md", true),
            ("KEEP.md", false),
            ("a.txt", false),
            ("#x", false),
        ] {
            assert_eq!(left_out(lines, path), out, "{path}");
        }
        assert!(left_out("\u{feff}a", "a") && !left_out("a\n!a/b", "a/b"));
        assert!(left_out("a\n!a/b\na/b/c", "a/b/c"));
    }

    #[test]
    fn what_no_pattern_can_be_is_refused() {
        for bad in [
            "!", "! ", "[", "a[", "[]", "[^]", "[a-]", "[-a]", "a\\", "[z-a]",
        ] {
            let mut patterns = Patterns::default();
            let refused = patterns.add(bad).expect_err(bad);
            assert_eq!(refused.kind(), ErrorKind::InvalidArgument, "{bad}");
        }
    }

    #[test]
    fn a_pattern_that_is_hard_to_fit_takes_no_time() {
        let pattern = "*a".repeat(60) + "b";
        assert!(!left_out(&pattern, &"a".repeat(4000)));
    }
}
