//! The product as its users meet it: the built binaries, started and spoken to from outside.
//!
//! Nothing here is built or linked in: [`Daemon`] starts `stentor` on free ports with a folder
//! of its own, peers are programs that are not ours. Everything started is ended by a guard.

#![allow(dead_code, reason = "each test binary uses its part")]

pub mod caller;
pub mod daemon;
pub mod device;
pub mod kafka;
pub mod machine;
pub mod network;
pub mod peer;
pub mod process;
pub mod redis;
pub mod scene;
pub mod wait;

pub use daemon::Daemon;
pub use peer::Peer;
#[allow(unused_imports, reason = "each test crate uses its part of this")]
pub use scene::Scene;
pub use wait::until;

use std::path::{Path, PathBuf};

/// The repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A program of the same build as this test.
pub fn program(name: &str) -> PathBuf {
    let here = std::env::current_exe().expect("a running test has a path");
    let folder = here.ancestors().nth(2).expect("tests lie in target/PROFILE/deps");
    let path = folder.join(name);
    assert!(path.exists(), "{} is missing: make build", path.display());
    path
}

/// A test tool in the Python environment that `make test-deps` makes.
pub fn python_tool(name: &str) -> PathBuf {
    let venv = std::env::var_os("STENTOR_TEST_VENV").map(PathBuf::from);
    let venv = venv.unwrap_or_else(|| root().join("target/venv"));
    let path = venv.join("bin").join(name);
    assert!(path.exists(), "{} is missing: make test-deps", path.display());
    path
}

/// Whether tests that repeat themselves do it to the full (`make soak`).
pub fn soak_is_long() -> bool {
    std::env::var_os("STENTOR_SOAK").is_some_and(|v| v == "long")
}
