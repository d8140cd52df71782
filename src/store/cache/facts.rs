//! What an engine can do, as far as caches need to know. Data only: `probe` finds it out.

use crate::store::cache::files::merge::Marks;
use crate::store::cache::files::owners::Owners;
use crate::store::options::Strategy;

/// The longest option string of a mount. The kernel takes one page, and cuts off silently what is behind it.
pub(crate) const OPTIONS_MAX: usize = 3500;

/// What goes into an overlay's options besides the directories, best first. Off: whatever would tie a layer to the very ones
/// it was written over (they are merged later), or keep in it what only those make whole. The second is for older kernels,
/// the third for rootless engines.
pub(crate) const EXTRAS: [&str; 3] = ["index=off,redirect_dir=off,metacopy=off", "", "userxattr"];

/// What was found out, and what follows from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    /// This process reaches the engine's volumes as files, and may do there what root may.
    pub(crate) reach: bool,
    /// What the engine's archive calls make of owners.
    pub(crate) owners: Owners,
    /// Overlays work, with these further options.
    pub(crate) overlay: Option<String>,
    pub(crate) strategy: Strategy,
    /// Why that strategy, for people.
    pub(crate) why: String,
}

impl Facts {
    /// Whether layers can be merged as files: they are in reach, and the overlay keeps in them only what a merge knows.
    pub(crate) fn merges(&self) -> bool {
        self.reach && self.overlay.as_deref() == Some(EXTRAS[0])
    }

    /// What the overlay's own extended attributes are.
    pub(crate) fn marks(&self) -> Marks {
        if self.overlay.as_deref() == Some(EXTRAS[2]) {
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
}
