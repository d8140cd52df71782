//! A thousand releases with changes: what they cost, and how many volumes they leave.

use std::time::{Duration, Instant};

use docker_store::Strategy;

use super::children::{place_to_write, version_in};
use super::ground::{Root, View, Way, here, lease, settle};
use crate::common::amount;

#[test]
fn a_long_chain_of_releases_stays_fast_and_leaves_few_volumes() {
    let releases = amount(60, 1000);
    for way in here(Way::ALL) {
        // Through archives, everything is slower by two orders of magnitude; the chain is long enough to be compacted several
        // times.
        let releases = if way.direct { releases } else { releases / 2 };
        let root = Root::new("chain");
        let store = root.open(way);
        store.strategy().expect("a strategy");
        let (mut most, mut times) = (0, Vec::new());
        for n in 0..releases {
            let began = Instant::now();
            let held = lease(&store, "a");
            let acquired = began.elapsed();
            let place = place_to_write(&held);
            let text = n.to_string();
            super::children::write_version(&place, &text);
            // Some files stay, some are written again and again.
            std::fs::write(place.join(format!("kept-{}", n % 300)), &text).expect("written");
            let released = Instant::now();
            held.release().expect("released");
            times.push(acquired + released.elapsed());
            if n % 10 == 9 {
                most = most.max(root.volumes().len());
            }
        }
        settle(&store);
        let layers = store.caches().expect("a listing")[0].layers;
        assert_eq!(root.volumes().len(), layers);
        let last = lease(&store, "a");
        let view = View::of(&last);
        assert_eq!(version_in(&view.path), Some((releases - 1).to_string()));
        let files = view.files();
        for n in 0..releases.min(300) {
            let newest = n + (releases - 1 - n) / 300 * 300;
            assert_eq!(files.get(&format!("kept-{n}")), Some(&newest.to_string()));
        }
        drop((view, last));
        let slice = (releases / 10).max(1);
        let median = |times: &[Duration]| {
            let mut sorted = times.to_vec();
            sorted.sort();
            sorted[sorted.len() / 2]
        };
        let (first, rest) = (median(&times[..slice]), median(&times[releases - slice..]));
        let longest = times.iter().max().expect("some");
        println!(
            "{way:?}: {releases} releases, acquire + release {first:?} at first, {rest:?} at last, {longest:?} at most; \
             at most {most} volumes, {layers} layers at last"
        );
        let bound = if way.strategy == Strategy::Overlay {
            80
        } else {
            12
        };
        assert!(most <= bound, "{most} volumes");
        if way.strategy == Strategy::Overlay && way.direct {
            assert!(
                rest < first * 5 + Duration::from_millis(50),
                "{first:?} grew to {rest:?}"
            );
        }
    }
}
