//! The topic as a whole, read from places that the reader keeps itself.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::Message as _;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tracing::{debug, warn};

use super::watch::{Held, Watch};
use super::{KafkaConfig, KafkaFault};
use crate::events::event::Logged;

/// By partition: of the next record.
pub type Offsets = BTreeMap<i32, i64>;

/// Takes all partitions, whoever else reads them, each from the offset that its reader kept. The
/// group is told how far that is, for whoever watches its lag, and nothing is read from there.
pub struct Partitions {
    consumer: BaseConsumer<Watch>,
    watch: Watch,
    topic: String,
    places: Places,
    assigned: Vec<i32>,
    /// When it was asked which partitions there are.
    looked: Option<Instant>,
    /// Something went wrong after that.
    unsettled: bool,
    unreadable: u64,
}

/// Where to go on.
struct Places {
    /// After what was given last.
    next: Offsets,
    /// Comes after what was said to be lost before it, and isn't given yet.
    held: Option<After>,
}

struct After {
    partition: i32,
    offset: i64,
    logged: Box<Logged>,
}

/// What there is next.
#[derive(Debug)]
pub enum Given {
    Event {
        partition: i32,
        logged: Box<Logged>,
    },
    /// So many records, at most, were thrown away before they were read.
    Lost(u64),
}

/// What a partition held at a time: from its first record up to before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    partition: i32,
    held: Held,
}

/// How long a broker may take to say what there is.
const ANSWER: Duration = Duration::from_secs(3);
/// How often it is asked for new partitions.
const LOOK: Duration = Duration::from_secs(30);
/// How often while there are none, or nobody answers.
const LOOK_SOON: Duration = Duration::from_millis(500);

// === impl Partitions ===

impl Partitions {
    /// `next`: where to go on; a partition that isn't in it is read from its beginning.
    pub fn open(config: &KafkaConfig, group: &str, next: Offsets) -> Result<Self, KafkaFault> {
        let watch = Watch::new(Instant::now());
        let consumer: BaseConsumer<Watch> = config
            .consumer(group)
            // What waits in memory, at most; and how soon it is filled up again.
            .set("queued.max.messages.kbytes", "16384")
            .set("fetch.queue.backoff.ms", "10")
            .create_with_context(watch.clone())?;
        Ok(Self {
            consumer,
            watch,
            topic: config.topic.clone(),
            places: Places { next, held: None },
            assigned: Vec::new(),
            looked: None,
            unsettled: false,
            unreadable: 0,
        })
    }

    /// Waits for one, but not longer than `at_most`, and a little more where a broker is slow.
    pub fn next(&mut self, at_most: Duration) -> Result<Option<Given>, KafkaFault> {
        if let Some(held) = self.places.held() {
            return Ok(Some(held));
        }
        self.look()?;
        let until = Instant::now() + at_most;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let message = match self.consumer.poll(left) {
                // It was a broker's answer to something else.
                None if Instant::now() < until => continue,
                None => return Ok(None),
                Some(Ok(message)) => message,
                Some(Err(error)) => {
                    self.unsettled = true;
                    return self.watch.handle_error(error).map(|()| None);
                }
            };
            self.watch.handle_record();
            let logged = Logged::read(message.payload().unwrap_or_default()).ok();
            self.unreadable += u64::from(logged.is_none());
            let given = self.places.take(message.partition(), message.offset(), logged);
            if given.is_some() {
                return Ok(given);
            }
        }
    }

    /// After what was given last.
    pub fn offsets(&self) -> &Offsets {
        &self.places.next
    }

    /// Tells the group: what was given is kept.
    pub fn tell_group(&self) {
        let told = self.list(&self.assigned, None);
        let told = told.and_then(|list| self.consumer.commit(&list, CommitMode::Async));
        if let Err(error) = told {
            debug!(%error, "the group isn't told how far it is");
        }
    }

    /// Records that were no events, and were passed over.
    pub fn unreadable(&self) -> u64 {
        self.unreadable
    }

    /// Whether a broker is there.
    pub fn is_up(&self) -> bool {
        self.watch.is_up()
    }

    /// What there is now, by asking for it: waits for a broker. None: nobody says.
    pub fn marks(&self) -> Option<Vec<Mark>> {
        if self.assigned.is_empty() || !self.watch.is_connected() {
            return None;
        }
        let mark = |partition: &i32| {
            let found = self.consumer.fetch_watermarks(&self.topic, *partition, ANSWER);
            let (first, end) = found.ok()?;
            Some(Mark { partition: *partition, held: Held { first, end } })
        };
        self.assigned.iter().map(mark).collect()
    }

    /// How many records up to there weren't given.
    pub fn short_of(&self, marks: &[Mark]) -> u64 {
        marks.iter().map(|mark| self.places.short_of(mark.partition, mark.held)).sum()
    }

    /// How many records there were that weren't given, when brokers last said so: a second ago, or
    /// before they went. None: they haven't yet.
    pub fn waiting(&self) -> Option<u64> {
        if self.assigned.is_empty() {
            return None;
        }
        let of = |partition: &i32| {
            let held = self.watch.held(&self.topic, *partition)?;
            Some(self.places.short_of(*partition, held))
        };
        self.assigned.iter().map(of).sum()
    }

    /// Takes all partitions that there are, new ones too. Nobody is asked who isn't there: that
    /// would be waited for.
    fn look(&mut self) -> Result<(), KafkaFault> {
        let soon = self.assigned.is_empty() || self.unsettled;
        let pause = if soon { LOOK_SOON } else { LOOK };
        let is_due = self.looked.is_none_or(|at| at.elapsed() >= pause);
        if !is_due || self.looked.is_some() && !self.watch.is_connected() {
            return Ok(());
        }
        let asked = self.consumer.fetch_metadata(Some(self.topic.as_str()), ANSWER);
        self.looked = Some(Instant::now());
        self.unsettled = asked.is_err();
        let Ok(metadata) = asked else { return Ok(()) };
        let mut topics = metadata.topics().iter().filter(|topic| topic.error().is_none());
        let topic = topics.find(|topic| topic.name() == self.topic);
        let mut there: Vec<i32> =
            topic.into_iter().flat_map(|t| t.partitions()).map(|p| p.id()).collect();
        // One that isn't named for a moment isn't gone.
        there.extend(&self.assigned);
        there.sort_unstable();
        there.dedup();
        if there == self.assigned {
            return Ok(());
        }
        self.consumer.assign(&self.list(&there, Some(Offset::Beginning))?)?;
        self.assigned = there;
        Ok(())
    }

    /// `new`: of partitions of which nothing was read yet; without it they are left out.
    fn list(
        &self,
        partitions: &[i32],
        new: Option<Offset>,
    ) -> Result<TopicPartitionList, KafkaError> {
        let mut list = TopicPartitionList::new();
        for partition in partitions {
            let known = self.places.next.get(partition).map(|at| Offset::Offset(*at));
            let Some(offset) = known.or(new) else { continue };
            list.add_partition_offset(&self.topic, *partition, offset)?;
        }
        Ok(list)
    }
}

// === impl Places ===

impl Places {
    /// What comes after what was said to be lost.
    fn held(&mut self) -> Option<Given> {
        let After { partition, offset, logged } = self.held.take()?;
        self.next.insert(partition, offset + 1);
        Some(Given::Event { partition, logged })
    }

    /// `logged`: None where the record is no event. One that comes again is told by its id.
    fn take(&mut self, partition: i32, offset: i64, logged: Option<Logged>) -> Option<Given> {
        let known = self.next.insert(partition, offset + 1).unwrap_or(offset);
        if offset < known {
            warn!(partition, known, offset, "the topic was made anew, and is read from there");
        }
        let lost = u64::try_from(offset.saturating_sub(known)).unwrap_or(0);
        let logged = logged.map(Box::new);
        if lost == 0 {
            return logged.map(|logged| Given::Event { partition, logged });
        }
        if let Some(logged) = logged {
            // Whoever keeps its place now hasn't got this one.
            self.next.insert(partition, offset);
            self.held = Some(After { partition, offset, logged });
        }
        Some(Given::Lost(lost))
    }

    /// How many of what a partition holds weren't given. One that ends before the place where it is
    /// to go on was made anew, and is read from its beginning.
    fn short_of(&self, partition: i32, Held { first, end }: Held) -> u64 {
        let next = self.next.get(&partition).copied().filter(|next| *next <= end);
        u64::try_from(end - next.unwrap_or(first).max(first)).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::kinds::CallAnswered;
    use crate::events::{Event, EventId};
    use crate::rfc3339::Millis;

    fn logged(number: u64) -> Logged {
        let mut line = Vec::new();
        let event = Event::new(CallAnswered { after_ms: number }).of_call("c");
        let node = "n".parse().unwrap();
        event.write(EventId(u128::from(number)), Millis(number), &node, &mut line).unwrap();
        Logged::read(&line).unwrap()
    }

    #[test]
    fn a_place_that_is_kept_before_the_event_after_a_gap_is_given_is_the_events() {
        let mut places = Places { next: Offsets::from([(3, 10)]), held: None };
        let given = places.take(3, 15, Some(logged(1)));
        assert!(matches!(given, Some(Given::Lost(5))), "{given:?}");
        assert_eq!(places.next[&3], 15);
        // Read again from there, nothing more is lost.
        let mut again = Places { next: places.next.clone(), held: None };
        let given = again.take(3, 15, Some(logged(1)));
        assert!(matches!(given, Some(Given::Event { partition: 3, .. })), "{given:?}");
        let given = places.held();
        assert!(matches!(given, Some(Given::Event { partition: 3, .. })), "{given:?}");
        assert_eq!(places.next[&3], 16);
        assert!(places.held().is_none());
    }

    #[test]
    fn a_record_that_is_no_event_is_passed_over_and_the_gap_before_it_told() {
        let mut places = Places { next: Offsets::from([(0, 10)]), held: None };
        assert!(places.take(0, 10, None).is_none());
        let given = places.take(0, 12, None);
        assert!(matches!(given, Some(Given::Lost(1))), "{given:?}");
        assert_eq!(places.next[&0], 13);
        assert!(places.held().is_none());
    }

    #[test]
    fn what_a_topic_that_was_made_anew_holds_is_all_missing_until_it_is_read() {
        let mut places = Places { next: Offsets::from([(0, 1000)]), held: None };
        let held = Held { first: 0, end: 10 };
        assert_eq!(places.short_of(0, held), 10);
        assert_eq!(places.short_of(0, Held { first: 990, end: 1000 }), 0);
        assert_eq!(places.short_of(0, Held { first: 1100, end: 1200 }), 100);
        assert_eq!(places.short_of(7, Held { first: 5, end: 7 }), 2);
        let given = places.take(0, 0, Some(logged(1)));
        assert!(matches!(given, Some(Given::Event { partition: 0, .. })), "{given:?}");
        assert_eq!((places.next[&0], places.short_of(0, held)), (1, 9));
    }
}
