//! What an engine can do, as far as caches need to know. Data only: `probe` finds it out.

use serde::{Deserialize, Serialize};

use crate::store::cache::files::look::Marks;
use crate::store::cache::files::owners::Owners;
use crate::store::options::Strategy;

/// The maximum length of the options of a mount. The kernel accepts one page, and silently truncates the rest. A page is 4096
/// bytes on x86-64. The rest is room for what the engine and its mounting program add; the probe tries a mount with options of
/// this length.
pub(crate) const OPTIONS_MAX: usize = 3500;

/// Additional overlay mount options, in order of preference. They disable features that would tie a layer to the exact lower
/// layers it was written over, which are merged later, or that would store data in the upper layer that is incomplete without
/// them. The second is for older kernels, the third for rootless engines.
pub(crate) const EXTRAS: [&str; 3] = ["index=off,redirect_dir=off,metacopy=off", "", "userxattr"];

/// How the engine's archive calls work with volumes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Archives {
    /// How they change owners.
    pub(crate) owners: Owners,
    pub(crate) root: RootBy,
}

/// How the owner, mode and time of a volume's root are set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum RootBy {
    /// By an entry of its parent directory. (Docker ignores an entry for the directory that is extracted into.)
    #[default]
    Parent,
    /// By an entry of its own. (Podman extracts what belongs into the parent directory below the mount.)
    Itself,
}

/// How an overlay is mounted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Overlays {
    /// Additional options.
    pub(crate) extra: String,
    /// Whether each layer is a separate option (`lowerdir+=`, Linux 6.5), for mount programs that do not accept an option of
    /// more than 256 bytes (libmount 2.39: Podman).
    pub(crate) each: bool,
}

/// Why volumes cannot be copied through archives.
pub(crate) const NO_ARCHIVES: &str = "volumes cannot be copied through this engine's archive calls: the owners in the archives that it gives are \
     not those that it took, and differ by more than one number; where it runs on this machine and its volumes are in reach of this \
     process, they are copied as files";

/// What was found out, and its consequences.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    /// This process can access the engine's volumes directly as files, with root's permissions.
    pub(crate) reach: bool,
    /// Volumes can be copied through the engine's archive calls, in this way.
    pub(crate) archives: Option<Archives>,
    /// Overlays work, in this way.
    pub(crate) overlay: Option<Overlays>,
    pub(crate) strategy: Strategy,
    /// The human-readable reason for the strategy.
    pub(crate) why: String,
}

impl Facts {
    fn extra(&self) -> Option<&str> {
        self.overlay
            .as_ref()
            .map(|overlays| overlays.extra.as_str())
    }

    /// Returns whether layers can be merged as files: they can be accessed directly, and the overlay stores in them only what a
    /// merge understands.
    pub(crate) fn merges(&self) -> bool {
        self.reach && self.extra() == Some(EXTRAS[0])
    }

    /// Returns what the overlay's own extended attributes are.
    pub(crate) fn marks(&self) -> Marks {
        marks(self.extra().unwrap_or_default())
    }
}

/// Returns the own extended attributes of an overlay that is mounted with these additional options.
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
    // With `overlay` twice it was set by a container's own overlay, and escaped by the kernel.
    let is_own = |name: &[u8]| {
        name.starts_with(b"trusted.overlay.") && !name.starts_with(b"trusted.overlay.overlay.")
    };
    Marks {
        opaque: c"trusted.overlay.opaque".into(),
        whiteout: c"trusted.overlay.whiteout".into(),
        is_own,
    }
}
