//! Which result was built on which, as a tree with the size of each.

use std::collections::BTreeMap;
use std::time::SystemTime;

use docker_store::ResultUsage;

use crate::amounts;
use crate::ending::Failure;
use crate::screen::Screen;
use crate::table::{LEFT, RIGHT};
use crate::tree::{self, Lines};

/// Prints all of them; one of them is the requested one.
pub(crate) fn tree(
    screen: &mut Screen,
    results: &[&ResultUsage],
    asked: Option<&str>,
    now: SystemTime,
) -> Result<(), Failure> {
    let rows = results.iter().enumerate();
    let rows: BTreeMap<&str, usize> = rows.map(|(n, result)| (result.id.as_str(), n)).collect();
    let base = |result: &&ResultUsage| rows.get(result.base.as_deref()?).copied();
    let bases: Vec<Option<usize>> = results.iter().map(base).collect();
    let line = |(row, before): (usize, String)| {
        let result = results[row];
        let mut name = format!("{before}{}", result.id);
        if before.is_empty() {
            if let Some(base) = &result.base {
                name.push_str(&format!(" (on {base}, which is gone)"));
            }
        }
        let mut notes = notes(result);
        if asked == Some(result.id.as_str()) {
            notes = format!("<- {notes}");
        }
        vec![
            amounts::bytes(result.own_bytes),
            amounts::bytes(result.bytes),
            amounts::ago(result.last_use, now),
            name,
            notes,
        ]
    };
    let drawn = tree::draw(&bases, Lines::of_locale());
    let columns = [
        ("OWN", RIGHT),
        ("TOTAL", RIGHT),
        ("LAST USE", LEFT),
        ("ID", LEFT),
        ("", LEFT),
    ];
    screen.table(&columns, drawn.into_iter().map(line).collect())
}

/// What protects it from a prune.
pub(crate) fn notes(result: &ResultUsage) -> String {
    let notes = [
        (result.pinned, "pinned"),
        (result.building, "being built"),
        (result.held, "base of a step"),
    ];
    let true_ones: Vec<&str> = notes
        .into_iter()
        .filter_map(|(is, note)| is.then_some(note))
        .collect();
    true_ones.join(", ")
}

/// What `id` is based on, lowest first; itself; and what was built on it.
pub(crate) fn around<'a>(results: &'a [ResultUsage], id: &str) -> Vec<&'a ResultUsage> {
    let by_id: BTreeMap<&str, &ResultUsage> = results.iter().map(|r| (r.id.as_str(), r)).collect();
    let mut chain = Vec::new();
    let mut next = by_id.get(id).copied();
    while let Some(result) = next {
        // Ids that were rebuilt on each other may form a cycle.
        if chain
            .iter()
            .any(|known: &&ResultUsage| known.id == result.id)
        {
            break;
        }
        chain.push(result);
        next = result
            .base
            .as_deref()
            .and_then(|base| by_id.get(base))
            .copied();
    }
    chain.reverse();
    let known: Vec<&str> = chain.iter().map(|result| result.id.as_str()).collect();
    let children = results.iter().filter(|result| {
        result.base.as_deref() == Some(id) && !known.contains(&result.id.as_str())
    });
    let children: Vec<_> = children.collect();
    chain.extend(children);
    chain
}
