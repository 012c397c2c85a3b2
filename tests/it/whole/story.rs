//! The story of `make demo` and of `make demo-kubernetes`: told from its first word to its last, and each answer is the planted one.

use lab::{
    demo,
    sandbox::{PodSandbox, Profile, traffic::Target},
};
use std::path::Path;

fn told(target: &Target, config: &Path) {
    let folder = tempfile::tempdir().unwrap();
    demo::tell(Path::new(crate::cli_support::OBSCTL), folder.path(), target, config).unwrap();
}

#[test]
fn on_this_machine() {
    let sandbox = lab::get().sandbox_local(Profile::A);
    told(sandbox.traffic().target(), &sandbox.config);
}

#[test]
fn in_the_cluster() {
    let sandbox = PodSandbox::start(&lab::get().cluster(), Profile::A).unwrap();
    told(sandbox.traffic().target(), &sandbox.config);
}
