//! The rules of `deny.toml`, held without cargo-deny: which crates may be there, through whom, and
//! under which licences.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{cargo, read};

#[test]
fn a_crate_comes_in_only_through_its_owner() {
    for ban in rules()["bans"]["deny"].as_array().unwrap() {
        // Those that nobody may bring in are looked for in the trees.
        let Some(owners) = ban.get("wrappers") else { continue };
        let name = ban["crate"].as_str().unwrap();
        let users = users_of(name);
        assert!(!users.is_empty(), "nobody uses {name}: is the rule still needed?");
        for user in users {
            let owner = owners.as_array().unwrap().iter().any(|w| w.as_str() == Some(&user));
            assert!(owner, "{user} brings in {name}");
        }
    }
}

#[test]
fn every_crate_has_a_licence_that_is_allowed() {
    let rules = rules();
    let allowed: BTreeSet<&str> = rules["licenses"]["allow"]
        .as_array()
        .unwrap()
        .iter()
        .map(|licence| licence.as_str().unwrap())
        .collect();
    let mut refused = Vec::new();
    for package in metadata()["packages"].as_array().unwrap() {
        let licence = package["license"].as_str().unwrap_or_default();
        if !is_allowed(licence, &allowed) {
            refused.push(format!("{}: {licence:?}", package["name"]));
        }
    }
    assert!(refused.is_empty(), "{refused:#?}");
}

#[test]
fn licences_are_weighed_as_spdx_has_it() {
    let allowed = BTreeSet::from(["MIT", "Apache-2.0", "Unicode-3.0"]);
    for (licence, expected) in [
        ("MIT", true),
        ("GPL-3.0", false),
        ("GPL-3.0 OR MIT", true),
        ("GPL-3.0/MIT", true),
        ("(MIT OR GPL-3.0) AND Unicode-3.0", true),
        ("(MIT OR Apache-2.0) AND GPL-3.0", false),
        ("GPL-3.0 OR MIT AND Apache-2.0", true),
        ("", false),
    ] {
        assert_eq!(is_allowed(licence, &allowed), expected, "{licence}");
    }
}

#[test]
fn every_crate_comes_from_the_registry_or_from_here() {
    for package in metadata()["packages"].as_array().unwrap() {
        let ours = package["source"].is_null();
        let registry = package["source"].as_str().unwrap_or_default();
        assert!(ours || registry.starts_with("registry+"), "{}: {registry}", package["name"]);
    }
}

fn rules() -> toml::Table {
    read("deny.toml").parse().unwrap()
}

/// What is compiled on the one platform there is.
fn metadata() -> Value {
    let target = ["--format-version=1", "--filter-platform=x86_64-unknown-linux-gnu"];
    let mut metadata: Value =
        serde_json::from_str(&cargo(&[&["metadata"], &target[..]].concat())).unwrap();
    let nodes = metadata["resolve"]["nodes"].as_array().unwrap();
    let used: BTreeSet<String> =
        nodes.iter().map(|node| node["id"].as_str().unwrap().to_owned()).collect();
    let packages = metadata["packages"].as_array_mut().unwrap();
    packages.retain(|package| used.contains(package["id"].as_str().unwrap()));
    metadata
}

/// Crates that depend on this one.
fn users_of(name: &str) -> BTreeSet<String> {
    let metadata = metadata();
    let packages = metadata["packages"].as_array().unwrap();
    let name_of = |id: &Value| {
        let package = packages.iter().find(|package| package["id"] == *id);
        package.and_then(|package| package["name"].as_str()).unwrap_or_default().to_owned()
    };
    let nodes = metadata["resolve"]["nodes"].as_array().unwrap();
    let uses = |node: &Value| {
        let ids = node["dependencies"].as_array().unwrap();
        ids.iter().any(|id| name_of(id) == name)
    };
    nodes.iter().filter(|node| uses(node)).map(|node| name_of(&node["id"])).collect()
}

/// An SPDX expression: AND binds more tightly than OR; `/` is an old way to write OR.
fn is_allowed(licence: &str, allowed: &BTreeSet<&str>) -> bool {
    let text = licence.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let mut words = text.split_whitespace().peekable();
    let holds = any(&mut words, allowed);
    holds && words.next().is_none()
}

type Words<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

fn any(words: &mut Words<'_>, allowed: &BTreeSet<&str>) -> bool {
    let mut holds = all(words, allowed);
    while words.next_if_eq(&"OR").is_some() {
        holds |= all(words, allowed);
    }
    holds
}

fn all(words: &mut Words<'_>, allowed: &BTreeSet<&str>) -> bool {
    let mut holds = one(words, allowed);
    while words.next_if_eq(&"AND").is_some() {
        holds &= one(words, allowed);
    }
    holds
}

fn one(words: &mut Words<'_>, allowed: &BTreeSet<&str>) -> bool {
    if words.next_if_eq(&"(").is_some() {
        let holds = any(words, allowed);
        return words.next_if_eq(&")").is_some() && holds;
    }
    let Some(name) = words.next() else { return false };
    let exception = words.next_if_eq(&"WITH").and_then(|_| words.next());
    match exception {
        Some(exception) => allowed.contains(format!("{name} WITH {exception}").as_str()),
        None => allowed.contains(name),
    }
}
