//! What the tests start, too: private engines, an sshd, certificates.
#![allow(dead_code, unreachable_pub)]

#[path = "../../tests/common/certificates.rs"]
pub mod certificates;
#[path = "../../tests/common/own_engine.rs"]
pub mod own_engine;
#[path = "../../tests/common/patience.rs"]
pub mod patience;
#[path = "../../tests/common/sshd.rs"]
pub mod sshd;

pub use patience::until;
