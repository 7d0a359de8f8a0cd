//! The build script: lists the web client's files for `assets.rs` to compile in.

#![allow(clippy::print_stdout, reason = "a build script talks to cargo")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let web = root.join("src/http/web");
    println!("cargo::rerun-if-changed=src/http/web");
    println!("cargo::rerun-if-changed=src/http/embed.rs");
    let mut files = Vec::new();
    collect(&web, &web, &mut files)?;
    files.sort();
    let mut text = String::from("[\n");
    for file in files {
        let path = web.join(&file);
        let line = format!("    ({file:?}, include_bytes!({path:?}).as_slice()),\n");
        text.write_str(&line).map_err(io::Error::other)?;
    }
    text.push_str("]\n");
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    fs::write(out.join("assets.rs"), text)
}

fn collect(folder: &Path, root: &Path, files: &mut Vec<String>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, root, files)?;
        } else if let Some(name) = path.strip_prefix(root).ok().and_then(Path::to_str) {
            files.push(name.to_owned());
        }
    }
    Ok(())
}
