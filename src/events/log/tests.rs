//! The log by itself: rotation, bounds, torn lines, readers that fall behind.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::super::event::Event;
use super::super::id::Ids;
use super::super::kinds::CallAnswered;
use super::*;
use crate::identity::NodeId;
use crate::rfc3339::Millis;

const DAY: Duration = Duration::from_secs(86_400);

struct Log {
    append: Append,
    ids: Ids,
    next: u64,
}

impl Log {
    fn open(folder: &Path, bytes: u64, next: u64) -> Self {
        let append = Append::open(folder, Bounds { bytes, age: DAY }).unwrap();
        Self { append, ids: Ids::new(next), next }
    }

    /// Events that are numbered, in batches of ten.
    fn write(&mut self, events: u64) {
        for _ in 0..events / 10 {
            let mut lines = Vec::new();
            for _ in 0..10 {
                let event = Event::new(CallAnswered { after_ms: self.next }).of_call("c1");
                let id = self.ids.next(Millis(self.next));
                event.write(id, Millis(1), &NodeId::new("n1").unwrap(), &mut lines).unwrap();
                self.next += 1;
            }
            self.append.append(&lines, 10, SystemTime::now()).unwrap();
        }
    }
}

/// The numbers of the events that there are, and how many the reader was told are lost.
fn read(reader: &mut Reader) -> (Vec<u64>, u64) {
    let (mut numbers, mut lost) = (Vec::new(), 0);
    while let Some(item) = reader.next().unwrap() {
        match item {
            Item::Lost(events) => lost += events,
            Item::Event(logged) => match logged.data().unwrap() {
                super::super::Data::CallAnswered(data) => numbers.push(data.after_ms),
                other => panic!("{other:?}"),
            },
        }
    }
    (numbers, lost)
}

fn segments(folder: &Path) -> Vec<u64> {
    segment::list(folder).unwrap()
}

#[test]
fn a_reader_goes_across_segments_while_they_are_written() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = Log::open(folder.path(), 64 << 20, 0);
    let mut reader = Reader::open(folder.path(), Cursor::default());
    let mut all = Vec::new();
    for _ in 0..60 {
        log.write(1000);
        log.append.rotate(SystemTime::now()).unwrap();
        all.extend(read(&mut reader).0);
    }
    assert_eq!(all, (0..60_000).collect::<Vec<_>>());
    assert_eq!(segments(folder.path()).len(), 61);
}

#[test]
fn a_reader_may_stop_anywhere_and_go_on_from_its_cursor() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = Log::open(folder.path(), 1 << 20, 0);
    log.write(2000);
    assert!(segments(folder.path()).len() > 3);
    let mut cursor = Cursor::default();
    for expected in 0..2000 {
        let mut reader = Reader::open(folder.path(), cursor);
        let Some(Item::Event(logged)) = reader.next().unwrap() else { panic!("{expected}") };
        let number = super::super::Data::from(CallAnswered { after_ms: expected });
        assert_eq!(logged.data().unwrap(), number);
        cursor = reader.cursor();
    }
    assert!(Reader::open(folder.path(), cursor).next().unwrap().is_none());
}

#[test]
fn the_log_stays_within_its_bound_and_who_is_behind_learns_how_much_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = Log::open(folder.path(), 1 << 20, 0);
    log.write(100);
    let mut reader = Reader::open(folder.path(), Cursor::default());
    assert_eq!(read(&mut reader).0.len(), 100);
    log.write(20_000);
    let size: u64 = segments(folder.path())
        .iter()
        .map(|number| fs::metadata(segment::path(folder.path(), *number)).unwrap().len())
        .sum();
    assert_eq!(size, log.append.bytes());
    assert!(size <= 1 << 20, "{size}");
    let (numbers, lost) = read(&mut reader);
    assert_eq!(numbers.len() as u64 + lost, 20_000);
    assert!(lost > 10_000);
    assert_eq!(numbers.last(), Some(&20_099));
    assert!(numbers.windows(2).filter(|pair| pair[1] != pair[0] + 1).count() <= 1);
    // One that comes back after all of it knows no more than where its segment began.
    let (numbers, lost) = read(&mut Reader::open(folder.path(), Cursor::default()));
    assert_eq!(numbers.len() as u64 + lost, 20_100);
}

#[test]
fn an_old_segment_that_cannot_be_deleted_stops_nothing_and_goes_once_it_can() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = Log::open(folder.path(), 1 << 20, 0);
    log.write(2000);
    let second = segments(folder.path())[1];
    // Nobody deletes a folder as a file.
    let oldest = segment::path(folder.path(), 0);
    fs::remove_file(&oldest).unwrap();
    fs::create_dir(&oldest).unwrap();
    log.write(20_000);
    assert!(log.append.tick(SystemTime::now()).is_err());
    let mut reader = Reader::open(folder.path(), Cursor { segment: second, offset: 0 });
    assert_eq!(read(&mut reader), ((second..22_000).collect(), 0));
    fs::remove_dir(&oldest).unwrap();
    log.append.tick(SystemTime::now()).unwrap();
    assert!(log.append.bytes() <= 1 << 20);
}

#[test]
fn one_that_goes_on_in_the_middle_of_a_segment_learns_what_is_gone_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = Log::open(folder.path(), 1 << 20, 0);
    for _ in 0..3 {
        log.write(100);
        log.append.rotate(SystemTime::now()).unwrap();
    }
    let mut reader = Reader::open(folder.path(), Cursor::default());
    for _ in 0..50 {
        reader.next().unwrap().unwrap();
    }
    let mut reader = Reader::open(folder.path(), reader.cursor());
    reader.next().unwrap().unwrap();
    fs::remove_file(segment::path(folder.path(), 100)).unwrap();
    assert_eq!(read(&mut reader), ((51..100).chain(200..300).collect(), 100));
}

#[test]
fn what_is_too_old_goes() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = Log::open(folder.path(), 1 << 20, 0);
    log.write(10);
    let now = SystemTime::now();
    log.append.tick(now + DAY / 32).unwrap();
    assert_eq!(segments(folder.path()), [0]);
    log.append.tick(now + DAY / 8).unwrap();
    assert_eq!(segments(folder.path()), [0, 10]);
    log.append.tick(now + 2 * DAY).unwrap();
    assert_eq!(segments(folder.path()), [10]);
}

#[test]
fn a_line_that_a_crash_cut_off_is_taken_off_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = Log::open(folder.path(), 1 << 20, 0);
    log.write(50);
    let mut reader = Reader::open(folder.path(), Cursor::default());
    drop(log);
    let last = *segments(folder.path()).last().unwrap();
    let mut file =
        fs::OpenOptions::new().append(true).open(segment::path(folder.path(), last)).unwrap();
    file.write_all(b"{\"id\":\"01").unwrap();
    assert_eq!(read(&mut reader).0.len(), 50);
    let mut log = Log::open(folder.path(), 1 << 20, 50);
    log.write(50);
    assert_eq!(read(&mut reader), ((50..100).collect(), 0));
    let mut anew = Reader::open(folder.path(), Cursor::default());
    assert_eq!(read(&mut anew), ((0..100).collect(), 0));
    assert_eq!(anew.unreadable(), 0);
}

#[test]
fn a_segment_that_a_power_cut_emptied_is_read_from_its_beginning() {
    // Fewer bytes than were there, and more.
    for events in [10, 40] {
        let folder = tempfile::tempdir().unwrap();
        let mut log = Log::open(folder.path(), 1 << 20, 0);
        log.write(20);
        let mut reader = Reader::open(folder.path(), Cursor::default());
        assert_eq!(read(&mut reader).0.len(), 20);
        drop(log);
        fs::write(segment::path(folder.path(), 0), "").unwrap();
        let mut log = Log::open(folder.path(), 1 << 20, 5000);
        log.write(events);
        let mut reader = Reader::open(folder.path(), reader.cursor());
        assert_eq!(read(&mut reader), ((5000..5000 + events).collect(), 0), "{events}");
        assert_eq!(reader.unreadable(), 0);
    }
}

#[test]
fn what_a_failed_write_left_is_taken_out_before_anything_else_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = Log::open(folder.path(), 1 << 20, 0);
    log.write(10);
    let path = segment::path(folder.path(), 0);
    // A file that takes nothing and can't be cut; what it did take is written by another.
    let failing = fs::File::open(&path).unwrap();
    let working = std::mem::replace(&mut log.append.file, failing);
    log.append.append(b"{\"id\":\"01\"}\n", 1, SystemTime::now()).unwrap_err();
    (&working).write_all(b"{\"id\":\"01").unwrap();
    log.append.append(b"{\"id\":\"01\"}\n", 1, SystemTime::now()).unwrap_err();
    log.append.file = working;
    log.write(10);
    let mut reader = Reader::open(folder.path(), Cursor::default());
    assert_eq!(read(&mut reader), ((0..20).collect(), 0));
    assert_eq!(reader.unreadable(), 0);
    assert_eq!(fs::metadata(&path).unwrap().len(), log.append.bytes());
}

#[test]
fn what_a_failing_disk_left_is_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = Log::open(folder.path(), 64 << 20, 0);
    log.write(10);
    log.append
        .append(&[b"\0\0\0\n", &[b'x'; 3 << 20][..], b"\n"].concat(), 2, SystemTime::now())
        .unwrap();
    log.write(10);
    let mut reader = Reader::open(folder.path(), Cursor::default());
    let (numbers, _) = read(&mut reader);
    assert_eq!(numbers, (0..20).collect::<Vec<_>>());
    assert!(reader.unreadable() >= 2);
}

#[test]
fn a_log_that_is_begun_anew_is_read_from_its_beginning() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = Log::open(folder.path(), 1 << 20, 0);
    log.write(10);
    let mut reader = Reader::open(folder.path(), Cursor { segment: 5000, offset: 17 });
    assert_eq!(read(&mut reader).0, (0..10).collect::<Vec<_>>());
}

#[test]
fn a_folder_that_is_not_there_yet_has_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut reader = Reader::open(&folder.path().join("none"), Cursor::default());
    assert!(reader.next().unwrap().is_none());
}
