//! What an engine can do, as far as caches need to know. Data only: `probe` finds it out.

use serde::{Deserialize, Serialize};

use crate::store::cache::files::look::Marks;
use crate::store::cache::files::owners::Owners;
use crate::store::options::Strategy;

/// The longest option string of a mount. The kernel takes one page, and cuts off silently what is behind it. On x86-64 a page
/// is 4096 bytes; the rest is room for what the engine and its mounting program add, and the probe tries a mount of this
/// length.
pub(crate) const OPTIONS_MAX: usize = 3500;

/// What goes into an overlay's options besides the directories, best first. Off: whatever would tie a layer to the very ones
/// it was written over (they are merged later), or keep in it what only those make whole. The second is for older kernels,
/// the third for rootless engines.
pub(crate) const EXTRAS: [&str; 3] = ["index=off,redirect_dir=off,metacopy=off", "", "userxattr"];

/// What the engine's archive calls do with volumes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Archives {
    /// What they make of owners.
    pub(crate) owners: Owners,
    pub(crate) root: RootBy,
}

/// How a volume's root is given its owner, mode and time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum RootBy {
    /// By an entry of the folder above. (Docker passes over one of the place that is unpacked to.)
    #[default]
    Parent,
    /// By an entry of its own. (Podman puts what is unpacked in the folder above below the mount.)
    Itself,
}

/// How an overlay is mounted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Overlays {
    /// Further options.
    pub(crate) extra: String,
    /// Whether each layer is an option of its own (`lowerdir+=`, Linux 6.5), as for mounting programs that take none of more than 256
    /// bytes (libmount 2.39: Podman).
    pub(crate) each: bool,
}

/// Why volumes cannot be copied through archives.
pub(crate) const NO_ARCHIVES: &str = "volumes cannot be copied through this engine's archive calls: the owners in the archives that it gives are \
     not those that it took, and differ by more than one number; where it runs on this machine and its volumes are in reach of this \
     process, they are copied as files";

/// What was found out, and what follows from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    /// This process reaches the engine's volumes as files, and may do there what root may.
    pub(crate) reach: bool,
    /// Volumes can be copied through the engine's archive calls, in this way.
    pub(crate) archives: Option<Archives>,
    /// Overlays work, in this way.
    pub(crate) overlay: Option<Overlays>,
    pub(crate) strategy: Strategy,
    /// Why that strategy, for people.
    pub(crate) why: String,
}

impl Facts {
    fn extra(&self) -> Option<&str> {
        self.overlay
            .as_ref()
            .map(|overlays| overlays.extra.as_str())
    }

    /// Whether layers can be merged as files: they are in reach, and the overlay keeps in them only what a merge knows.
    pub(crate) fn merges(&self) -> bool {
        self.reach && self.extra() == Some(EXTRAS[0])
    }

    /// What the overlay's own extended attributes are.
    pub(crate) fn marks(&self) -> Marks {
        marks(self.extra().unwrap_or_default())
    }
}

/// What an overlay's own extended attributes are that is mounted with these further options.
pub(crate) fn marks(extra: &str) -> Marks {
    if extra == EXTRAS[2] {
        let is_own = |name: &[u8]| {
            name.starts_with(b"user.overlay.") && !name.starts_with(b"user.overlay.overlay.")
        };
        return Marks {
            opaque: c"user.overlay.opaque".into(),
            whiteout: c"user.overlay.whiteout".into(),
            is_own,
        };
    }
    // With `overlay` twice it is one that a container's own overlay set, escaped by the kernel.
    let is_own = |name: &[u8]| {
        name.starts_with(b"trusted.overlay.") && !name.starts_with(b"trusted.overlay.overlay.")
    };
    Marks {
        opaque: c"trusted.overlay.opaque".into(),
        whiteout: c"trusted.overlay.whiteout".into(),
        is_own,
    }
}
