//! Draws what was built on what.

use std::collections::{BTreeMap, BTreeSet};

/// Returns the marks before names, in the order in which they are drawn: (which row, what is drawn before it).
///
/// `bases[n]` is the row that row `n` is based on. An only child is drawn in its base's column, so that a chain of a hundred
/// steps fits on the terminal.
pub(crate) fn draw(bases: &[Option<usize>], lines: &Lines) -> Vec<(usize, String)> {
    let mut children: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    let mut tops = Vec::new();
    for (row, base) in bases.iter().enumerate() {
        match base.filter(|base| *base != row && *base < bases.len()) {
            Some(base) => children.entry(base).or_default().push(row),
            None => tops.push(row),
        }
    }
    let mut drawn = Vec::new();
    let mut seen = BTreeSet::new();
    // Without recursion, because chains may be arbitrarily long.
    let mut next: Vec<Next> = Vec::new();
    // Rows that are based on each other in a cycle have no top: each is drawn as one.
    for top in tops.into_iter().chain(0..bases.len()) {
        next.push(Next {
            row: top,
            before: String::new(),
            column: String::new(),
            is_only: false,
        });
        while let Some(at) = next.pop() {
            if !seen.insert(at.row) {
                continue;
            }
            drawn.push((at.row, at.before));
            match children.get(&at.row).map_or(&[][..], Vec::as_slice) {
                [only] => next.push(Next {
                    row: *only,
                    before: format!("{}{}", at.column, lines.last),
                    column: at.column,
                    is_only: true,
                }),
                several => {
                    // An only child has its own mark where its children's marks would be.
                    let column = match at.is_only {
                        true => format!("{}{}", at.column, lines.blank),
                        false => at.column,
                    };
                    for (n, child) in several.iter().enumerate().rev() {
                        let (mark, rest) = match n == several.len() - 1 {
                            true => (lines.last, lines.blank),
                            false => (lines.middle, lines.passing),
                        };
                        next.push(Next {
                            row: *child,
                            before: format!("{column}{mark}"),
                            column: format!("{column}{rest}"),
                            is_only: false,
                        });
                    }
                }
            }
        }
    }
    drawn
}

/// A row to draw.
struct Next {
    row: usize,
    before: String,
    /// What is drawn before the marks of its children.
    column: String,
    is_only: bool,
}

/// The characters of a tree.
pub(crate) struct Lines {
    middle: &'static str,
    last: &'static str,
    passing: &'static str,
    blank: &'static str,
}

impl Lines {
    const UNICODE: Lines = Lines {
        middle: "├─ ",
        last: "└─ ",
        passing: "│  ",
        blank: "   ",
    };
    const ASCII: Lines = Lines {
        middle: "|- ",
        last: "`- ",
        passing: "|  ",
        blank: "   ",
    };

    /// Returns those that the locale supports.
    pub(crate) fn of_locale() -> &'static Lines {
        let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set);
        let utf8 = locale.is_some_and(|locale| {
            let locale = locale.to_ascii_lowercase();
            locale.contains("utf-8") || locale.contains("utf8")
        });
        match utf8 {
            true => &Lines::UNICODE,
            false => &Lines::ASCII,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names and what they stand on, drawn.
    fn drawn(rows: &[(&str, Option<&str>)], lines: &Lines) -> String {
        let row_of = |name: &str| rows.iter().position(|(id, _)| *id == name);
        let bases: Vec<_> = rows.iter().map(|(_, base)| row_of((*base)?)).collect();
        let drawn = draw(&bases, lines).into_iter();
        drawn
            .map(|(row, before)| format!("{before}{}\n", rows[row].0))
            .collect()
    }

    #[test]
    fn a_chain_goes_straight_down_and_children_branch_off() {
        let rows = [
            ("base", None),
            ("a", Some("base")),
            ("b", Some("a")),
            ("c", Some("b")),
            ("d", Some("c")),
            ("e", Some("d")),
            ("f", Some("b")),
            ("g", Some("f")),
            ("h", Some("g")),
            ("lone", Some("gone")),
        ];
        let text = "
base
└─ a
└─ b
   ├─ c
   │  └─ d
   │  └─ e
   └─ f
      └─ g
      └─ h
lone
";
        assert_eq!(drawn(&rows, &Lines::UNICODE), text.trim_start());
        let ascii = drawn(&rows[..4], &Lines::ASCII);
        assert_eq!(ascii, "base\n`- a\n`- b\n`- c\n");
    }

    #[test]
    fn a_long_chain_stays_narrow_and_needs_no_deep_stack() {
        let bases: Vec<Option<usize>> = (0..100_000usize).map(|n| n.checked_sub(1)).collect();
        let drawn = draw(&bases, &Lines::UNICODE);
        assert_eq!(drawn.len(), bases.len());
        assert!(drawn.iter().all(|(_, before)| before.chars().count() <= 3));
    }

    #[test]
    fn all_are_drawn_once_also_those_that_stand_on_each_other() {
        let circle = [Some(1), Some(2), Some(0), Some(3), None, Some(2), Some(99)];
        let mut rows: Vec<usize> = draw(&circle, &Lines::ASCII)
            .iter()
            .map(|(row, _)| *row)
            .collect();
        rows.sort_unstable();
        assert_eq!(rows, [0, 1, 2, 3, 4, 5, 6]);
    }
}
