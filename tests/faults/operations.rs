//! Everything that makes requests to the engine, each as one call that a fault can meet, with what must exist before and what
//! must hold afterwards.

use std::fs::File;

use docker_store::{
    Begun, CacheRequest, Command, Error, ErrorKind, Lease, Limits, Options, Outcome, Released,
    Step, Store,
};

use crate::common::{Root, base_tar, sh, tar_of, untar};

/// Where an operation takes place: a store behind a proxy, with the result `base` and the cache `c`, which contains the file
/// `f`.
pub struct Scene<'a> {
    pub root: &'a Root,
    /// Where the proxy listens.
    pub address: &'a str,
    /// `None` only for the operation that opens it.
    pub store: Option<&'a Store>,
    /// The name of what the operation creates: each try has different names.
    pub id: String,
    pub limits: Limits,
    /// Called once everything is prepared: from here on faults happen.
    pub go: &'a dyn Fn(),
}

impl Scene<'_> {
    pub fn store(&self) -> &Store {
        self.store.expect("an open store")
    }

    pub fn begin(&self) -> Step {
        self.begin_on(Some("base"))
    }

    pub fn begin_on(&self, base: Option<&str>) -> Step {
        match self.store().begin(base, &self.id, &Limits::none()) {
            Ok(Begun::Step(step)) => step,
            other => panic!("{}: {other:?}", self.id),
        }
    }

    /// Starts the faults, for everything that `step` does from now on.
    pub fn go(&self, step: &mut Step) {
        step.limit(&self.limits);
        (self.go)();
    }

    /// A name that is not the store's own: the ground removes it.
    pub fn given_name(&self) -> String {
        format!("{}{}:1", given_names(self.root), self.id)
    }

    fn lease(&self) -> Lease {
        let lease = self.store().cache("c", &CacheRequest::new());
        lease.expect("a lease")
    }

    /// A lease in which the file `f` contains `id`.
    fn written(&self) -> Lease {
        let lease = self.lease();
        let mut step = self.begin();
        let script = format!("echo {} > /c/f", self.id);
        step.run(sh(&script).volume(lease.volume(), "/c", false))
            .expect("a run");
        step.abort().expect("aborted");
        lease
    }

    fn request(&self) -> CacheRequest {
        let mut request = CacheRequest::new();
        request.limits(self.limits.clone());
        request
    }
}

/// The start of the names that the operations give.
pub fn given_names(root: &Root) -> String {
    format!("example.test/t{}/", root.prefix())
}

/// The outcome of the call, and what remains to be done after it.
pub type Done = Result<Claim, Error>;

/// What a successful operation claims.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    Nothing,
    /// The result with the try's id exists, and its file `/made` contains it.
    Made,
    /// The same for a result without such a file.
    Exists,
    /// There is no such result.
    Gone,
    /// The cache contains what this try wrote.
    Released,
    /// The cache does not exist.
    CacheGone,
    /// An image has this name.
    Named(String),
    /// The answer is wrong, whatever exists.
    Lie(String),
}

pub struct Operation {
    pub name: &'static str,
    pub run: fn(&Scene<'_>) -> Done,
}

/// `Made` if `step` can be committed once the faults are over.
pub fn rest(step: Step, ran: Result<(), Error>) -> Done {
    match ran {
        Ok(()) => Ok(Claim::Nothing),
        Err(e) => {
            drop(step);
            Err(e)
        }
    }
}

pub fn made() -> Command {
    sh("echo made > /made")
}

pub fn truth(said: bool, is: bool, what: &str) -> Claim {
    match said == is {
        true => Claim::Nothing,
        false => Claim::Lie(format!("{what}: {said}")),
    }
}

macro_rules! operations {
    ($list:ident: $($name:literal => |$scene:ident| $body:expr,)*) => {
        pub const $list: &[Operation] = &[$(Operation {
            name: $name,
            run: |$scene: &Scene<'_>| -> Done { $body },
        },)*];
    };
}

pub(super) use operations;

operations! { ALL:
    "open" => |scene| {
        let mut options = Options::new();
        options.engine(scene.address);
        (scene.go)();
        Store::open_within(&scene.root.path, &options, &scene.limits).map(|_| Claim::Nothing)
    },
    "close" => |scene| {
        let mut options = Options::new();
        options.engine(scene.address);
        let store = Store::open(&scene.root.path, &options).expect("a store");
        store.cache("c", &CacheRequest::new()).expect("a lease").discard().expect("discarded");
        (scene.go)();
        store.close_within(&scene.limits).map(|()| Claim::Nothing)
    },
    "result" => |scene| {
        (scene.go)();
        let said = scene.store().result_within("base", &scene.limits)?;
        Ok(truth(said, true, "the base is there"))
    },
    "result-absent" => |scene| {
        (scene.go)();
        let said = scene.store().result_within("absent", &scene.limits)?;
        Ok(truth(said, false, "what is not there is there"))
    },
    "results" => |scene| {
        (scene.go)();
        let listed = scene.store().results_within(&scene.limits)?;
        Ok(truth(listed.iter().any(|row| row.id == "base"), true, "the base is listed"))
    },
    "delete" => |scene| {
        let mut step = scene.begin();
        step.run(&made()).expect("a run");
        step.commit().expect("a commit");
        (scene.go)();
        match scene.store().delete_within(&scene.id, &scene.limits)? {
            true => Ok(Claim::Gone),
            false => Ok(Claim::Lie(String::from("there was nothing to delete"))),
        }
    },
    "df" => |scene| {
        (scene.go)();
        let free = scene.store().df_within(&scene.limits)?;
        Ok(truth((0.0..=100.0).contains(&free.percent()), true, "free space"))
    },
    "ping" => |scene| {
        (scene.go)();
        scene.store().ping(&scene.limits).map(|()| Claim::Nothing)
    },
    "health" => |scene| {
        (scene.go)();
        let found = scene.store().health(&scene.limits)?;
        Ok(truth(found.engine.is_empty(), false, "the engine has no name"))
    },
    "purge" => |scene| {
        (scene.go)();
        scene.store().purge_within(&scene.limits).map(|_| Claim::Nothing)
    },
    "begin" => |scene| {
        (scene.go)();
        match scene.store().begin(Some("base"), &scene.id, &scene.limits)? {
            Begun::Step(step) => rest(step, Ok(())),
            Begun::Present => Ok(Claim::Lie(String::from("what is not there is present"))),
        }
    },
    "begin-present" => |scene| {
        (scene.go)();
        match scene.store().begin(None, "base", &scene.limits)? {
            Begun::Step(_) => Ok(Claim::Lie(String::from("the base is to be built"))),
            Begun::Present => Ok(Claim::Nothing),
        }
    },
    "run" => |scene| {
        let mut step = scene.begin();
        scene.go(&mut step);
        let ran = step.run(&made()).map(drop);
        rest(step, ran)
    },
    "run-again" => |scene| {
        let mut step = scene.begin();
        step.run(&made()).expect("a run");
        scene.go(&mut step);
        let ran = step.run(&sh("test -e /made")).map(drop);
        rest(step, ran)
    },
    "run-with-secret" => |scene| {
        let mut step = scene.begin();
        scene.go(&mut step);
        let ran = step.run(made().secret("/secret", "x", (0, 0), 0o400)).map(drop);
        rest(step, ran)
    },
    "commit" => |scene| {
        let mut step = scene.begin();
        step.run(&made()).expect("a run");
        (scene.go)();
        step.commit_within(&scene.limits).map(|()| Claim::Made)
    },
    "commit-exact" => |scene| {
        let mut step = scene.begin();
        step.run(sh("echo made > /made").env("NEW", "1")).expect("a run");
        (scene.go)();
        step.commit_within(&scene.limits).map(|()| Claim::Made)
    },
    "commit-nothing" => |scene| {
        let step = scene.begin_on(None);
        (scene.go)();
        step.commit_within(&scene.limits).map(|()| Claim::Exists)
    },
    "abort" => |scene| {
        let mut step = scene.begin();
        step.run(&made()).expect("a run");
        (scene.go)();
        step.abort_within(&scene.limits).map(|()| Claim::Gone)
    },
    "build" => |scene| {
        (scene.go)();
        let built = scene.store().build(Some("base"), &scene.id, &scene.limits, |step| {
            step.run(&made()).map(drop)
        })?;
        match built {
            Outcome::Built => Ok(Claim::Made),
            Outcome::Hit => Ok(Claim::Lie(String::from("it was there"))),
        }
    },
    "import" => |scene| {
        let mut step = scene.begin_on(None);
        let mut tar = File::open(base_tar()).expect("the base");
        scene.go(&mut step);
        let ran = step.import(&mut tar, &mut |_| Ok(()));
        rest(step, ran)
    },
    "use-image" => |scene| {
        let mut step = scene.begin_on(None);
        scene.go(&mut step);
        let ran = step.use_image(&scene.root.image("base"));
        rest(step, ran)
    },
    "copy-in" => |scene| {
        let mut step = scene.begin();
        scene.go(&mut step);
        let ran = step.copy_in("/a/b", &mut tar_of("made", b"made\n").as_slice());
        rest(step, ran)
    },
    "copy-out" => |scene| {
        let mut step = scene.begin();
        step.run(&made()).expect("a run");
        scene.go(&mut step);
        let mut tar = Vec::new();
        let ran = step.copy_out("/made", &mut tar).map(drop);
        let whole = ran.is_err() || untar(&tar) == [("made".to_owned(), b"made\n".to_vec())];
        match rest(step, ran)? {
            _ if whole => Ok(Claim::Nothing),
            _ => Ok(Claim::Lie(String::from("half a file was all"))),
        }
    },
    "copy-out-of-result" => |scene| {
        (scene.go)();
        let mut tar = Vec::new();
        scene.store().copy_out("base", "/etc/passwd", &mut tar, &scene.limits)?;
        Ok(truth(untar(&tar).len() == 1, true, "half a file was all"))
    },
    "strategy" => |scene| {
        (scene.go)();
        scene.store().strategy_within(&scene.limits).map(|_| Claim::Nothing)
    },
    "cache" => |scene| {
        (scene.go)();
        let lease = scene.store().cache("c", &scene.request())?;
        let said = lease.generation() > 0;
        lease.discard().expect("discarded");
        Ok(truth(said, true, "the cache is empty"))
    },
    "release" => |scene| {
        let lease = scene.written();
        (scene.go)();
        match lease.release_within(&scene.limits) {
            Ok(Released::Won(_)) => Ok(Claim::Released),
            Ok(other) => Ok(Claim::Lie(format!("{other:?}"))),
            Err(e) if e.kind() == ErrorKind::Closed => Ok(Claim::Lie(e.to_string())),
            Err(e) => Err(e),
        }
    },
    "caches" => |scene| {
        (scene.go)();
        let listed = scene.store().caches_within(&scene.limits)?;
        Ok(truth(listed.iter().any(|row| row.name == b"c"), true, "the cache is listed"))
    },
    "delete-cache" => |scene| {
        (scene.go)();
        match scene.store().delete_cache_within("c", &scene.limits)? {
            true => Ok(Claim::CacheGone),
            false => Ok(Claim::Lie(String::from("there was no cache"))),
        }
    },
    "complete-deletes" => |scene| {
        scene.lease().discard().expect("discarded");
        (scene.go)();
        scene.store().complete_deletes(&scene.limits).map(|()| Claim::Nothing)
    },
}

// For an engine that is stopped in the middle: a whole build, slowly, with every answer checked.
operations! { BUILDS:
    "slow-build" => |scene| {
        let mut step = scene.begin();
        scene.go(&mut step);
        let mut output = Vec::new();
        let script = sh("echo begun; sleep 2; echo made > /made; echo ended");
        let ran = step.run_with(&script, &mut |piece| {
            output.extend_from_slice(piece.bytes);
            Ok(())
        });
        ran.map(drop)?;
        if output != b"begun\nended\n" {
            let lost = String::from_utf8_lossy(&output).into_owned();
            return Ok(Claim::Lie(format!("the output was only {lost:?}")));
        }
        step.commit_within(&scene.limits).map(|()| Claim::Made)
    },
    "build-with-a-lease" => |scene| {
        let mut step = scene.begin();
        scene.go(&mut step);
        let lease = scene.store().cache("c", &scene.request())?;
        let script = format!("echo made > /made; sleep 1; echo {} > /c/f", scene.id);
        let ran = step.run(sh(&script).lease(&lease, "/c")).map(drop);
        ran?;
        step.commit_within(&scene.limits)?;
        match lease.release_within(&scene.limits)? {
            Released::Won(_) => Ok(Claim::Released),
            other => Ok(Claim::Lie(format!("{other:?}"))),
        }
    },
    "build-of-files" => |scene| {
        let mut step = scene.begin_on(None);
        scene.go(&mut step);
        let mut tar = File::open(base_tar()).expect("the base");
        let ran = step.import(&mut tar, &mut |_| Ok(()));
        ran?;
        let ran = step.copy_in("/", &mut tar_of("made", b"made\n").as_slice());
        ran?;
        step.commit_within(&scene.limits).map(|()| Claim::Made)
    },
    // What was held when the engine stopped is not lost.
    "held" => |scene| {
        let lease = scene.written();
        let mut step = scene.begin_on(Some("base"));
        step.run(&made()).expect("a run");
        scene.go(&mut step);
        let ran = step.run(sh("test -e /made").lease(&lease, "/c")).map(drop);
        // As well as possible, with no engine or half of one.
        let _ = step.abort();
        match (lease.release_within(&scene.limits)?, ran) {
            (Released::Won(_), _) => Ok(Claim::Released),
            (other, ran) => Ok(Claim::Lie(format!("{other:?}, {ran:?}"))),
        }
    },
}
