//! What reads bytes from the log and from Kafka: see `crate::doors`.

use super::event::Logged;

/// A line of the log, or a record's payload.
pub fn event_line(bytes: &[u8]) {
    let Ok(logged) = Logged::read(bytes) else { return };
    // What is kept is what is shipped: one line, which reads as the same again.
    let again = Logged::read(logged.line.as_bytes());
    assert!(again.is_ok_and(|again| again.envelope == logged.envelope));
    if let Ok(data) = logged.data() {
        assert_eq!(data.kind(), logged.envelope.kind);
        assert!(serde_json::to_vec(&data).is_ok());
    }
}
