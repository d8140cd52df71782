//! Pruning, tagging, pushing and the like, as calls that a fault can meet.

use docker_store::{
    Error, ImageConfig, ImageFormat, Item, Limits, Outcome, Policy, PruneFate, Went,
};

use super::operations::{Claim, Done, Operation, Scene, made, operations, truth};
use crate::common::Root;

/// A policy that removes everything that is not pinned.
fn nothing_stays() -> Policy {
    let mut policy = Policy::new();
    policy.most_bytes(0).spare(std::time::Duration::ZERO);
    policy
}

/// Creates the result of this try, and pins what the next one needs.
fn made_and_pinned(scene: &Scene<'_>) {
    let mut step = scene.begin();
    step.run(&made()).expect("a run");
    step.commit().expect("a commit");
    let store = scene.store();
    store.pin("base", &Limits::none()).expect("pinned");
    store.pin_cache("c", &Limits::none()).expect("pinned");
}

/// What a prune reports about `item`, which was to be removed, and why it was not.
fn fate(scene: &Scene<'_>, policy: &Policy, item: &Item) -> Result<(PruneFate, String), Error> {
    let mut shown = None;
    let report = scene.store().prune(policy, &scene.limits, |row| {
        if row.item == *item {
            shown = Some(row.clone());
        }
        Ok(())
    })?;
    let row = report.rows.iter().find(|row| row.item == *item);
    assert_eq!(row, shown.as_ref(), "what was told is in the report");
    Ok(
        shown.map_or((PruneFate::Spared, String::from("no word")), |row| {
            (row.fate, row.why)
        }),
    )
}

/// Saves the image of `root` that every scene has.
fn saved(root: &Root) -> Vec<u8> {
    let mut file = Vec::new();
    let format = ImageFormat::Docker;
    root.open()
        .save("base", format, None, &mut file, &Limits::none())
        .expect("saved");
    file
}

operations! { KEEPING:
    "usage" => |scene| {
        (scene.go)();
        let usage = scene.store().usage(&scene.limits)?;
        let all = usage.results.iter().any(|row| row.id == "base" && row.bytes > 0)
            && usage.caches.iter().any(|row| row.info.name == b"c");
        Ok(truth(all, true, "all is told"))
    },
    "why-gone" => |scene| {
        made_and_pinned(scene);
        scene.store().delete(&scene.id).expect("deleted");
        (scene.go)();
        let went = scene.store().why_gone(&scene.id, &scene.limits)?;
        Ok(truth(went.is_some_and(|(how, _)| how == Went::Deleted), true, "it was deleted"))
    },
    "prune-dry" => |scene| {
        made_and_pinned(scene);
        (scene.go)();
        let mut policy = nothing_stays();
        policy.dry_run(true);
        match fate(scene, &policy, &Item::Result(scene.id.clone()))? {
            (PruneFate::Removed, _) => Ok(Claim::Made),
            other => Ok(Claim::Lie(format!("{other:?}"))),
        }
    },
    "prune" => |scene| {
        made_and_pinned(scene);
        (scene.go)();
        match fate(scene, &nothing_stays(), &Item::Result(scene.id.clone()))? {
            (PruneFate::Removed | PruneFate::Gone, _) => Ok(Claim::Gone),
            (PruneFate::Failed, _) => Ok(Claim::Made),
            other => Ok(Claim::Lie(format!("{other:?}"))),
        }
    },
    "prune-cache" => |scene| {
        scene.store().unpin_cache("c").expect("unpinned");
        scene.store().cache("c", &Default::default()).expect("a lease").discard().expect("discarded");
        // A lease is given up in the background, and counts until then.
        scene.store().complete_deletes(&Limits::none()).expect("done");
        (scene.go)();
        let mut policy = nothing_stays();
        policy.results(false);
        match fate(scene, &policy, &Item::Cache(b"c".to_vec()))? {
            (PruneFate::Removed | PruneFate::Gone, _) => Ok(Claim::CacheGone),
            (PruneFate::Failed, _) => Ok(Claim::Nothing),
            other => Ok(Claim::Lie(format!("{other:?}"))),
        }
    },
    "tag" => |scene| {
        made_and_pinned(scene);
        let name = scene.given_name();
        (scene.go)();
        scene.store().tag(&scene.id, &name, &scene.limits).map(|_| Claim::Named(name))
    },
    "save" => |scene| {
        let whole = saved(scene.root);
        (scene.go)();
        let mut file = Vec::new();
        scene.store().save("base", ImageFormat::Docker, None, &mut file, &scene.limits)?;
        Ok(truth(file == whole, true, "what was saved is whole"))
    },
    "load" => |scene| {
        let file = saved(scene.root);
        (scene.go)();
        let loaded = scene.store().load(&scene.id, &mut file.as_slice(), &mut |_| Ok(()), &scene.limits)?;
        match loaded {
            Outcome::Built => Ok(Claim::Exists),
            Outcome::Hit => Ok(Claim::Lie(String::from("it was there"))),
        }
    },
    "commit-configured" => |scene| {
        let mut step = scene.begin();
        step.run(&made()).expect("a run");
        let mut config = ImageConfig::new();
        config.command(["echo"]).label("org.example/part", "one");
        step.configure(&config).expect("configured");
        (scene.go)();
        step.commit_within(&scene.limits).map(|()| Claim::Made)
    },
}
