//! Samples, damaged at random but the same in every run: what `cargo test` throws at a parser
//! where libFuzzer isn't at hand. The samples are libFuzzer's seeds, and what it found.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::Door;

/// How long each door is tried.
const SPAN: Duration = Duration::from_millis(500);

/// Calls each door with its samples, then with damaged ones for a while.
pub fn storm(doors: &[Door]) {
    for (name, door) in doors {
        let samples = samples(name);
        assert!(!samples.is_empty(), "tests/corpus holds nothing for {name}");
        for sample in &samples {
            door(sample);
        }
        damaged(name, &samples, *door);
    }
}

fn damaged(name: &str, samples: &[Vec<u8>], door: fn(&[u8])) {
    let mut random =
        Random(name.bytes().fold(7_u64, |a, b| a.wrapping_mul(31).wrapping_add(u64::from(b))) | 1);
    let until = Instant::now() + SPAN;
    door(&[]);
    while Instant::now() < until {
        for _ in 0..64 {
            let mut bytes = samples[random.below(samples.len())].clone();
            for _ in 0..=random.below(6) {
                damage(&mut bytes, samples, &mut random);
            }
            door(&bytes);
        }
    }
}

/// What `tests/fuzz/run` gives libFuzzer to start from.
fn samples(name: &str) -> Vec<Vec<u8>> {
    let mut folders = vec![format!("tests/corpus/{name}")];
    if name.starts_with("sdp_") {
        folders.push("tests/corpus/sdp".to_owned());
    } else if name == "call_message" {
        folders.push("tests/calls/schema/client".to_owned());
    } else if name == "event_line" {
        folders.push("tests/events/examples".to_owned());
    } else if name.starts_with("whip_") {
        folders.push("pipelines/src/contribution/whip/offers".to_owned());
    }
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let root = crates.into_iter().find(|folder| folder.join("tests/corpus").exists());
    let mut files: Vec<PathBuf> = folders
        .iter()
        .filter_map(|folder| std::fs::read_dir(root?.join(folder)).ok())
        .flat_map(|entries| entries.flatten().map(|entry| entry.path()))
        .collect();
    files.sort();
    files.iter().filter_map(|file| std::fs::read(file).ok()).collect()
}

fn damage(bytes: &mut Vec<u8>, samples: &[Vec<u8>], random: &mut Random) {
    let at = random.below(bytes.len() + 1);
    let end = (at + random.below(40)).min(bytes.len());
    match random.below(8) {
        0 => bytes.truncate(at),
        1 => drop(bytes.drain(at..end)),
        2 => bytes.insert(at, random.next() as u8),
        3 => {
            let again = bytes[at..end].to_vec();
            bytes.splice(at..at, again);
        }
        4 => {
            let other = &samples[random.below(samples.len())];
            let from = random.below(other.len() + 1);
            bytes.splice(at..end, other[from..].iter().copied().take(60));
        }
        5 => {
            // Numbers at their ends are what length fields trip over.
            let edges = [0, 1, 0x7f, 0x80, 0xfe, 0xff];
            bytes[at..end].fill(edges[random.below(edges.len())]);
        }
        _ => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << random.below(8);
            }
        }
    }
    bytes.truncate(70_000);
}

struct Random(u64);

// === impl Random ===

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 >> 11
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }
}
