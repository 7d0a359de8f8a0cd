//! Boxes, and the tables that say where each sample is and when it is shown.

use super::Track;

pub fn boxed(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let size = u32::try_from(body.len() + 8).unwrap_or(u32::MAX);
    [&size.to_be_bytes()[..], kind, body].concat()
}

pub fn full_box(kind: &[u8; 4], version: u8, flags: u32, body: &[u8]) -> Vec<u8> {
    let head = (u32::from(version) << 24 | flags).to_be_bytes();
    boxed(kind, &[&head[..], body].concat())
}

/// `base` is where the media begins in the file; `long` takes offsets of eight bytes.
pub fn sample_table(track: &Track, base: u64, long: bool) -> Vec<u8> {
    let mut body = counted(b"stsd", track.entries.len(), &track.entries.concat());
    body.extend(counted_rows(b"stts", runs_of(track.samples.iter().map(|s| s.duration))));
    if track.samples.iter().any(|sample| sample.shift != 0) {
        body.extend(counted_rows(b"ctts", runs_of(track.samples.iter().map(|s| s.shift))));
    }
    if !track.samples.iter().all(|sample| sample.keyframe) {
        let keyframes = track.samples.iter().zip(1_u32..).filter(|(s, _)| s.keyframe);
        body.extend(counted_rows(b"stss", keyframes.map(|(_, number)| [number])));
    }
    body.extend(counted_rows(b"stsc", run_rows(track).into_iter()));
    let mut sizes = vec![0; 4];
    sizes.extend_from_slice(&(track.samples.len() as u32).to_be_bytes());
    track.samples.iter().for_each(|sample| sizes.extend_from_slice(&sample.size.to_be_bytes()));
    body.extend(full_box(b"stsz", 0, 0, &sizes));
    body.extend(offsets(track, base, long));
    boxed(b"stbl", &body)
}

fn offsets(track: &Track, base: u64, long: bool) -> Vec<u8> {
    let mut body = Vec::with_capacity(track.runs.len() * 8);
    for run in &track.runs {
        let offset = base + run.offset;
        match long {
            true => body.extend_from_slice(&offset.to_be_bytes()),
            false => body.extend_from_slice(&(offset as u32).to_be_bytes()),
        }
    }
    counted(if long { b"co64" } else { b"stco" }, track.runs.len(), &body)
}

/// A row where a run differs from the one before it: its number, its samples, its entry.
fn run_rows(track: &Track) -> Vec<[u32; 3]> {
    let mut rows: Vec<[u32; 3]> = Vec::new();
    for (run, number) in track.runs.iter().zip(1..) {
        let row = [number, run.samples, run.entry + 1];
        if rows.last().is_none_or(|last| last[1..] != row[1..]) {
            rows.push(row);
        }
    }
    rows
}

/// How often each value stands in a row, and the value.
fn runs_of(values: impl Iterator<Item = u32>) -> impl Iterator<Item = [u32; 2]> {
    let mut values = values.peekable();
    std::iter::from_fn(move || {
        let value = values.next()?;
        let mut count = 1;
        while values.next_if_eq(&value).is_some() {
            count += 1;
        }
        Some([count, value])
    })
}

fn counted_rows<const N: usize>(kind: &[u8; 4], rows: impl Iterator<Item = [u32; N]>) -> Vec<u8> {
    let (mut count, mut body) = (0, Vec::new());
    for row in rows {
        count += 1;
        row.iter().for_each(|number| body.extend_from_slice(&number.to_be_bytes()));
    }
    counted(kind, count, &body)
}

fn counted(kind: &[u8; 4], count: usize, rows: &[u8]) -> Vec<u8> {
    full_box(kind, 0, 0, &[&(count as u32).to_be_bytes()[..], rows].concat())
}
