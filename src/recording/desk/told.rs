//! What becomes of recordings, as events.

use super::{Recordings, now_ms};
use crate::config::Form;
use crate::events::Event;
use crate::events::kinds::{
    Data, RecordingDeleted, RecordingEnded, RecordingFileFailed, RecordingFileReady, RecordingForm,
    RecordingSpoolFull, RecordingStarted,
};
use crate::recording::catalogue::Entry;
use crate::recording::papers::{self, FileEntry, Order, Subject};
use crate::recording::spool::Trouble;

// === impl Recordings ===

impl Recordings {
    pub(super) fn tell_started(&self, entry: &Entry) {
        self.tell(entry, RecordingStarted { form: self.form() });
    }

    /// Its chunks are all there: files can be made.
    pub(super) fn tell_ended(&self, entry: &Entry, order: &Order) {
        let users = order.sources.iter().filter_map(|source| source.user.clone()).collect();
        let chunks: usize = order.sources.iter().map(|source| source.chunks.len()).sum();
        let ended_ms = entry.ended_ms.unwrap_or_else(now_ms);
        let lasted_ms = ended_ms.saturating_sub(entry.started_ms);
        self.tell(
            entry,
            RecordingEnded {
                form: self.form(),
                lasted_ms: u64::try_from(lasted_ms).unwrap_or_default(),
                users,
                chunks: u64::try_from(chunks).unwrap_or_default(),
                chunks_lost: u64::try_from(entry.troubles).unwrap_or_default(),
            },
        );
    }

    pub(super) fn tell_trouble(&self, entry: &Entry, trouble: &Trouble) {
        let bytes = u64::try_from(self.inner.metrics.spool_bytes.get()).unwrap_or_default();
        let event = event(entry, RecordingSpoolFull { bytes }).because(&trouble.reason);
        self.inner.events.emit(event);
    }

    pub(super) fn tell_ready(&self, entry: &Entry, files: &[FileEntry]) {
        for file in files {
            let object = papers::object(&entry.id, &file.object);
            let (bytes, duration_ms) = (file.bytes, file.duration_ms);
            self.tell(entry, RecordingFileReady { object, bytes, duration_ms });
        }
    }

    pub(super) fn tell_failed(&self, entry: &Entry, reason: &str, attempts: u32) {
        let event = event(entry, RecordingFileFailed { attempts }).because(reason);
        self.inner.events.emit(event);
    }

    pub(super) fn tell_deleted(&self, entry: &Entry, files: &[FileEntry], cause: &str) {
        let bytes = files.iter().map(|file| file.bytes).sum();
        let files = u32::try_from(files.len()).unwrap_or(u32::MAX);
        self.inner.events.emit(event(entry, RecordingDeleted { files, bytes }).because(cause));
    }

    fn tell(&self, entry: &Entry, data: impl Into<Data>) {
        self.inner.events.emit(event(entry, data));
    }

    fn form(&self) -> RecordingForm {
        match self.inner.rules.forms.first() {
            Some(Form::Composite) => RecordingForm::Composite,
            _ => RecordingForm::Tracks,
        }
    }
}

fn event(entry: &Entry, data: impl Into<Data>) -> Event {
    let event = Event::new(data).of_recording(&entry.id);
    let event = match &entry.subject {
        Subject::Channel(name) => event.of_channel(name),
        Subject::Call(call) => event.of_call(call),
    };
    match &entry.started_by {
        Some(user) => event.of_user(user),
        None => event,
    }
}
